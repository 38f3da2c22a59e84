from __future__ import annotations

import pytest
import torch
from conftest import composed
from torch import nn
from torch.nn import functional as F

from graftwork.config.components import build
from graftwork.models.base import Model
from graftwork.models.network.classifier import Classifier
from graftwork.models.network.folding import foldable, followed_by_norm, norms_behind
from graftwork.training.fast_forward import fast_forward


@pytest.fixture
def classifier() -> Classifier:
    """With statistics as after a training, and every BatchNorm frozen."""
    torch.manual_seed(0)
    model = build(composed("model=tiny_cnn")["model"], Model, "model")
    built = model.build(3, None)
    for norm in batch_norms(built):
        assert norm.running_mean is not None and norm.running_var is not None
        norm.running_mean.normal_(0, 0.2)
        norm.running_var.uniform_(0.5, 2)
        nn.init.uniform_(norm.weight, 0.5, 1.5)
        nn.init.normal_(norm.bias)
    built.freeze([True] * (len(built.layer_groups()) - 1), "frozen")
    return built.train()


def batch_norms(classifier: Classifier) -> list[nn.BatchNorm2d]:
    return [module for module in classifier.modules() if isinstance(module, nn.BatchNorm2d)]


def step(classifier: Classifier) -> tuple[torch.Tensor, torch.Tensor]:
    """Logits and all gradients of one batch."""
    classifier.zero_grad()
    images = torch.randint(0, 255, (6, 32, 32, 3), generator=torch.Generator().manual_seed(1))
    logits = classifier(classifier.normalise(images.byte()))
    F.cross_entropy(logits, torch.arange(6) % 3).backward()
    gradients = [p.grad.flatten() for p in classifier.parameters() if p.grad is not None]
    return logits.detach(), torch.cat(gradients)


def test_folding_changes_neither_logits_nor_gradients(classifier: Classifier) -> None:
    logits, gradients = step(classifier)
    with fast_forward(classifier, fold=foldable(classifier), depthwise_fp32=False):
        fast_logits, fast_gradients = step(classifier)
    assert classifier.training
    torch.testing.assert_close(fast_logits, logits, atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(fast_gradients, gradients, atol=1e-5, rtol=1e-3)


def test_no_folded_batch_norm_is_computed(
    classifier: Classifier, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = []
    plain = F.batch_norm
    monkeypatch.setattr(F, "batch_norm", lambda *a, **k: calls.append(1) or plain(*a, **k))
    step(classifier)
    assert len(calls) == len(batch_norms(classifier)) > 0
    with fast_forward(classifier, fold=foldable(classifier), depthwise_fp32=False):
        calls.clear()
        step(classifier)
    assert not calls


def test_what_folding_would_change_is_not_folded() -> None:
    """MaxViT's first convolution is read by a BatchNorm and by a shortcut around it."""
    torch.manual_seed(0)
    values = composed("model=timm", "model.architecture=test_maxvit", "model.weights=null")["model"]
    network = build(values, Model, "model").build(3, None).eval()
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    pairs = foldable(network)  # its statistics do nothing yet, which must not hide the shortcut
    assert 0 < len(pairs) < len(norms_behind(network))
    after = network.state_dict()
    assert all(torch.equal(tensor, after[name]) for name, tensor in before.items())
    for norm in batch_norms(network):
        assert norm.running_mean is not None and norm.running_var is not None
        norm.running_mean.normal_(0, 0.3)
        norm.running_var.uniform_(0.5, 2)
    size = network.input_spec.size
    images = torch.randn(2, 3, size, size)
    with torch.no_grad():
        expected = network(images)
        with fast_forward(network, fold=pairs, depthwise_fp32=False):
            found = network(images)
        with fast_forward(network, fold=norms_behind(network), depthwise_fp32=False):
            wrong = network(images)
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-4)
    assert (wrong - expected).abs().max() > 0.01 * expected.abs().max()


def test_a_change_in_place_lies_between() -> None:
    network = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(inplace=True), nn.BatchNorm2d(4)).eval()
    images = torch.rand(1, 3, 8, 8)
    with torch.no_grad():
        assert followed_by_norm(network, lambda: network(images)) == []
        assert len(followed_by_norm(network[::2], lambda: network[::2](images))) == 1


def test_everything_is_undone(classifier: Classifier) -> None:
    before = {name: tensor.clone() for name, tensor in classifier.state_dict().items()}
    with pytest.raises(RuntimeError, match="stop"):  # noqa: SIM117
        with fast_forward(classifier, fold=foldable(classifier), depthwise_fp32=True):
            step(classifier)
            raise RuntimeError("stop")
    assert not any("forward" in module.__dict__ for module in classifier.modules())
    after = classifier.state_dict()
    assert all(torch.equal(tensor, after[name]) for name, tensor in before.items())
    held = [p for m in classifier.modules() for p in m._parameters.values() if p is not None]
    assert all(isinstance(parameter, nn.Parameter) for parameter in held)


def test_depthwise_convolutions_leave_autocast_where_a_backward_pass_will_come() -> None:
    depthwise = nn.Conv2d(4, 4, 3, groups=4)
    dense = nn.Conv2d(4, 4, 3)
    network = nn.Sequential(depthwise, dense)
    seen = {}
    for name, module in (("depthwise", depthwise), ("dense", dense)):
        module.register_forward_hook(lambda m, i, out, name=name: seen.update({name: out.dtype}))
    images = torch.rand(1, 4, 8, 8)

    def depthwise_type(seen_by: torch.Tensor = images) -> torch.dtype:
        network(seen_by)
        assert seen["dense"] == torch.bfloat16
        return seen["depthwise"]

    with torch.autocast("cpu", torch.bfloat16):
        assert depthwise_type() == torch.bfloat16
        with fast_forward(network, fold=[], depthwise_fp32=True):
            assert depthwise_type() == torch.float32
            with torch.no_grad():
                assert depthwise_type() == torch.bfloat16
            depthwise.requires_grad_(False)
            assert depthwise_type() == torch.bfloat16
            assert depthwise_type(images.clone().requires_grad_()) == torch.float32


def test_a_folded_depthwise_convolution_that_is_trained_leaves_autocast_too() -> None:
    """Folding hands it weights of its own making."""
    network = nn.Sequential(nn.Conv2d(4, 4, 3, groups=4), nn.BatchNorm2d(4)).eval()
    pairs = [(network[0], network[1])]
    types = []
    network[1].register_forward_hook(lambda module, inputs, out: types.append(out.dtype))
    with (
        torch.autocast("cpu", torch.bfloat16),
        fast_forward(network, fold=pairs, depthwise_fp32=True),  # type: ignore[arg-type]
    ):
        network(torch.rand(1, 4, 8, 8))
        network.requires_grad_(False)
        network(torch.rand(1, 4, 8, 8))
    assert types == [torch.float32, torch.bfloat16]
