"""Low-rank updates: what they compute, what is trained, and that nothing of them is left."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import pytest
import torch
from conftest import composed
from small_network import network
from torch import nn

from graftwork.config.components import build
from graftwork.config.errors import UserError
from graftwork.experiment import Experiment
from graftwork.models.network.attached import plain_state
from graftwork.models.network.classifier import Classifier
from graftwork.models.network.folding import foldable
from graftwork.profiling.memory import forecast
from graftwork.profiling.profile import trainable_parameters
from graftwork.training.bound_parts import attached
from graftwork.training.fast_forward import fast_forward
from graftwork.training.graft_module import GraftModule
from graftwork.training.parameter_groups import parameter_groups
from graftwork.transfer.bound.low_rank import Update
from graftwork.transfer.parts import Moment
from graftwork.transfer.strategy import Transfer
from pipelines.ahead import check_ahead

LORA = ("transfer=lora", "transfer.adapter.rank=2", "transfer.adapter.alpha=6.0")


def strategy(*overrides: str) -> Transfer:
    return build(composed(*LORA, *overrides)["transfer"], Transfer, "transfer")


def updates(classifier: Classifier) -> list[Update]:
    return [module for module in classifier.modules() if isinstance(module, Update)]


def moved(classifier: Classifier) -> None:
    """Updates as after a training."""
    random = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for update in updates(classifier):
            update.up.copy_(torch.rand(update.up.shape, generator=random) - 0.5)


def pictures(classifier: Classifier) -> torch.Tensor:
    spec = classifier.input_spec
    size = (4, spec.channels, spec.size, spec.size)
    return torch.randn(size, generator=torch.Generator().manual_seed(0))


def test_an_update_is_the_published_formula() -> None:
    """W + alpha / r * B A: by hand, rank 1 and scale 2 (PEFT's merged weight is the same sum)."""
    weight = torch.tensor([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]])
    update = Update(weight, 1, 2.0, torch.Generator())
    torch.testing.assert_close(update(weight), weight)  # B begins with zeros
    with torch.no_grad():
        update.up.copy_(torch.tensor([[1.0], [0.0], [-1.0]]))
        update.down.copy_(torch.tensor([[0.5, 10.0]]))
    expected = torch.tensor([[2.0, 22.0], [3.0, 4.0], [4.0, -14.0]])
    torch.testing.assert_close(update(weight), expected)
    kernel = weight.reshape(3, 1, 2, 1)  # a convolution: out, then in * k * k in one row
    torch.testing.assert_close(update(kernel), expected.reshape(3, 1, 2, 1))
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(update(weight), expected), "what is merged is what was trained"


def test_its_random_half_begins_as_a_linear_layer_and_follows_from_the_seed() -> None:
    weight = torch.zeros(8, 4, 5, 5)
    down = [Update(weight, 3, 1.0, torch.Generator().manual_seed(s)).down for s in (0, 0, 1)]
    assert torch.equal(down[0], down[1]) and not torch.equal(down[0], down[2])
    assert down[0].shape == (3, 100) and 0.08 < down[0].abs().max() <= 0.1
    assert Update(torch.zeros(8, 1, 3, 3), 64, 1.0, torch.Generator()).down.shape == (8, 9)


@pytest.mark.parametrize(
    ("architecture", "size"), [("vit_tiny_patch16_224", 32), ("resnet10t", 32), ("tiny_cnn", None)]
)
def test_the_merged_network_is_the_attached_one(architecture: str, size: int | None) -> None:
    classifier = network(architecture, size)
    before = copy.deepcopy(classifier)
    images, adapter = pictures(classifier), strategy().adapter
    adapter.attach(classifier, seed=0)
    kinds = (nn.Linear, nn.Conv2d)
    layers = [module for module in classifier.backbone.modules() if isinstance(module, kinds)]
    assert len(updates(classifier)) == len(layers)  # timm's fused qkv among them
    with torch.no_grad():
        assert torch.equal(classifier(images), before(images)), "nothing is changed yet"
        moved(classifier)
        attached_logits = classifier(images)
        adapter.merge(classifier)
        assert (classifier(images) - attached_logits).abs().max() < 1e-5
        assert (attached_logits - before(images)).abs().max() > 0.01
    assert list(classifier.state_dict()) == list(before.state_dict()), "in the same order, too"
    assert [type(m) for m in classifier.modules()] == [type(m) for m in before.modules()]
    for name, parameter in before.named_parameters():
        assert classifier.get_parameter(name).stride() == parameter.stride(), name


def test_folded_batch_norm_sees_the_update() -> None:
    classifier = network("tiny_cnn")
    images = pictures(classifier)
    with torch.no_grad():
        for norm in (m for m in classifier.modules() if isinstance(m, nn.BatchNorm2d)):
            norm.running_var.fill_(0.3)
    strategy().adapter.attach(classifier, seed=0)
    moved(classifier)
    GraftModule(classifier, strategy(), 3).train()

    def outcome() -> list[torch.Tensor]:
        classifier.zero_grad()
        logits = classifier(images)
        logits.square().sum().backward()
        return [logits.detach(), *(update.up.grad.clone() for update in updates(classifier))]

    expected, pairs = outcome(), foldable(classifier)
    assert len(pairs) == 3
    with fast_forward(classifier, fold=pairs, depthwise_fp32=False):
        assert isinstance(pairs[0][1].forward(images), torch.Tensor)
        assert torch.equal(pairs[0][1](images), pairs[0][1].forward(images)), "no BatchNorm left"
        found = outcome()
    for left, right in zip(found, expected, strict=True):
        torch.testing.assert_close(left, right, atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(outcome()[0], expected[0])


def test_the_plain_state_is_that_of_the_merged_network_also_while_it_is_folded() -> None:
    classifier = network("tiny_cnn")
    chosen = strategy()
    chosen.adapter.attach(classifier, seed=0)
    moved(classifier)
    with fast_forward(classifier, fold=foldable(classifier), depthwise_fp32=False):
        found = {name: tensor.clone() for name, tensor in plain_state(classifier).items()}
    chosen.adapter.merge(classifier)
    expected = classifier.state_dict()
    assert set(found) == set(expected)
    assert all(torch.equal(tensor, expected[name]) for name, tensor in found.items())
    assert all(torch.equal(t, expected[name]) for name, t in plain_state(classifier).items())


def test_only_updates_and_the_head_learn_each_at_the_rate_of_its_depth() -> None:
    chosen = strategy("transfer.rates.layer_decay=0.5", "transfer/trainable=later_groups")
    classifier = network("tiny_cnn")
    plain = [group.name for group in classifier.layer_groups()], classifier.layout().parameters
    with attached(chosen.adapter, classifier, 0):
        found = [group.name for group in classifier.layer_groups()], classifier.layout().parameters
        assert found[0] == plain[0] and set(found[1]) == set(plain[1])
        module = GraftModule(classifier, chosen, 3)
        trained = [name for name, p in module.classifier.named_parameters() if p.requires_grad]
        assert {name.split(".")[-1] for name in trained} == {"up", "down", "weight", "bias"}
        assert [name for name in trained if "parametrizations" not in name] == [
            "head.weight", "head.bias",
        ]  # fmt: skip
        assert not any("stem" in name for name in trained), "a frozen group's update rests"
        rates: dict[int, float] = {}
        for group in parameter_groups(classifier, chosen):
            rates |= {id(p): group["lr"] for p in group["params"]}
            assert group["weight_decay"] == 0 or all(p.ndim > 1 for p in group["params"])
        stem, *_, last = updates(classifier)
        assert rates[id(last.up)] == pytest.approx(5e-4 * 8)
        assert rates[id(stem.up)] == rates[id(stem.down)] == pytest.approx(5e-4 * 8 * 0.25)
        norms = [m for m in classifier.modules() if isinstance(m, nn.BatchNorm2d)]
        module.train()
        assert not any(norm.training for norm in norms)
    assert {name for name, _ in classifier.named_parameters()} >= set(plain[1])


def test_layers_are_counted_and_named_as_if_nothing_were_attached() -> None:
    classifier = network("resnet10t", 32)
    plain = classifier.layout().executed
    strategy().adapter.attach(classifier, seed=0)
    found = classifier.layout().executed
    assert [layer.kind for layer in found] == [layer.kind for layer in plain]
    assert [set(layer.parameters) for layer in found] == [set(layer.parameters) for layer in plain]


def test_the_profile_counts_what_is_trained_and_leaves_the_network_alone() -> None:
    classifier, fine = network("tiny_cnn"), composed("transfer=fine_tune")["transfer"]
    names, everything = list(classifier.state_dict()), build(fine, Transfer, "transfer")
    shapes = [m.weight.flatten(1).shape for m in classifier.modules() if isinstance(m, nn.Conv2d)]
    expected = sum(2 * sum(shape) for shape in shapes)
    expected += sum(p.numel() for p in classifier.head.parameters())
    assert trainable_parameters(classifier, strategy()) == expected
    found = forecast(classifier, strategy(), batch_size=2, precision="fp32")
    whole = forecast(classifier, everything, batch_size=2, precision="fp32")
    assert found.gradients == 4 * expected < whole.gradients
    assert list(classifier.state_dict()) == names


def test_patterns_choose_layers_and_wrong_ones_are_named_before_any_work(
    tiny_params: Callable[..., dict[str, Any]],
) -> None:
    classifier = network("vit_tiny_patch16_224", 32)
    strategy("transfer.adapter.layers=['*.qkv',blocks.11.mlp]").adapter.attach(classifier, 0)
    assert len(updates(classifier)) == 12 + 2
    wrong = tiny_params(*LORA, "transfer/start=random", "transfer.adapter.layers=[stages.9]")
    with pytest.raises(UserError, match=r"transfer\.adapter\.layers: 'stages\.9'.*'stages\.0'"):
        check_ahead(Experiment.from_params(wrong))


@pytest.mark.parametrize(
    ("overrides", "said"),
    [
        (("transfer.batch_norm=trained",), "adapter: low_rank freezes .*batch_norm=trained"),
        (("transfer.epochs=0",), "adapter: epochs=0 trains nothing"),
        (("transfer.adapter.rank=0",), "rank: 0 is out of bounds"),
        (("transfer.adapter.layers=[]",), "layers: how many: 0"),
    ],
)
def test_what_does_not_go_together_is_refused(overrides: tuple[str, ...], said: str) -> None:
    with pytest.raises(UserError, match=said):
        strategy(*overrides)


def test_an_attachment_goes_whatever_happens() -> None:
    classifier, chosen = network("tiny_cnn"), strategy()
    with pytest.raises(ZeroDivisionError), attached(chosen.adapter, classifier, 0):
        chosen.adapter.tell(classifier, Moment(0, 1, 0, 1), 0)
        raise ZeroDivisionError
    assert not updates(classifier)
    classifier.train_only(classifier.layout().parameters, "frozen")
    assert classifier.get_parameter("backbone.stem.conv.weight").requires_grad
