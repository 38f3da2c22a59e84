"""Every network of conf/model does what the pipeline asks of a network; a new YAML joins by itself.

Each stands at 32 px, or at the next of a few sizes that it takes. Networks of more than LARGE
parameters are built without values (torch's meta device), which shows shapes, groups and which
gradients there are; the same with values is left to `make slow`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import pytest
import torch
from conftest import CONF, composed
from small_input import overrides, small
from torch import nn

from graftwork.cli import catalogue
from graftwork.config.components import build
from graftwork.experiment import Experiment
from graftwork.model_folder import contents as model_folder
from graftwork.model_folder.saving import save
from graftwork.models.base import Model
from graftwork.models.network.classifier import Classifier
from graftwork.process.vision import timm

LARGE = 15e6  # parameters
ENTRIES = {entry.word: entry for entry in catalogue.entries(CONF)}


@dataclass(frozen=True)
class Seen:
    """What a network makes of pictures in eval mode."""

    logits: torch.Tensor
    features: torch.Tensor
    met: list[str]  # layers with parameters, in the order in which a picture meets them


@dataclass(frozen=True)
class Network:
    """A named network at a small input size."""

    word: str
    model: Model
    classifier: Classifier  # for 10 classes
    device: str

    def images(self) -> torch.Tensor:
        spec = self.classifier.input_spec
        generator = torch.Generator().manual_seed(0)
        pixels = torch.randn(2, spec.channels, spec.size, spec.size, generator=generator)
        return pixels.to(self.device)

    def train(self) -> list[torch.Tensor | None]:
        """The gradients of one backward pass in train mode."""
        torch.manual_seed(0)  # dropout
        self.classifier.zero_grad()
        logits = self.classifier.train()(self.images())
        nn.functional.cross_entropy(logits, torch.tensor([0, 1]).to(self.device)).backward()
        return [p.grad for p in self.classifier.parameters()]

    @cached_property
    def gradients(self) -> list[torch.Tensor | None]:
        """Of all parameters."""
        self.classifier.freeze([True] * (len(self.classifier.layer_groups()) - 1), "trained")
        return self.train()

    @cached_property
    def seen(self) -> Seen:
        met: list[str] = []
        hooks = [
            module.register_forward_pre_hook(lambda *_, name=name: met.append(name))
            for name, module in self.classifier.named_modules()
            if not list(module.children()) and list(module.parameters())
        ]
        with torch.no_grad():
            logits = self.classifier.eval()(self.images())
            for hook in hooks:
                hook.remove()
            return Seen(logits, self.classifier.features(self.images()), met)


def cases() -> Iterator[Any]:
    for word, entry in ENTRIES.items():
        large = entry.parameters is not None and entry.parameters[0] > LARGE
        if large:
            yield pytest.param((word, "meta"), id=f"{word}-shapes")
        yield pytest.param((word, "cpu"), id=word, marks=[pytest.mark.slow] * large)


@pytest.fixture(scope="module", params=list(cases()))
def network(request: pytest.FixtureRequest) -> Network:
    word, device = request.param
    model = small(word, device)
    torch.manual_seed(0)
    with torch.device(device):
        return Network(word, model, model.build(10, None), device)


@pytest.fixture
def with_values(network: Network) -> Network:
    if network.device == "meta":
        pytest.skip("too large to compare values at once: make slow")
    return network


def test_there_are_many() -> None:
    assert len(ENTRIES) >= 45


def test_it_gives_logits_by_features_that_the_head_gets(network: Network) -> None:
    seen = network.seen
    assert seen.logits.shape == (2, 10)
    assert seen.features.shape == (2, network.classifier.num_features)
    if network.device == "cpu":
        assert seen.features.isfinite().all()
        assert torch.equal(network.classifier.head(seen.features), seen.logits)


def test_every_parameter_gets_a_gradient(network: Network) -> None:
    names = [name for name, _ in network.classifier.named_parameters()]
    assert not [n for n, grad in zip(names, network.gradients, strict=True) if grad is None]
    if network.device == "cpu":
        assert all(gradient.isfinite().all() for gradient in network.gradients)
        assert network.gradients[0].any(), "nothing reaches the first layer"


def test_its_layer_groups_hold_every_parameter_once(network: Network) -> None:
    groups = network.classifier.layer_groups()
    names = [group.name for group in groups]
    assert names[0] == "stem" and names[-1] == "head" and len(names) >= 3
    assert len(set(names)) == len(names) and not [n for n in names if n.startswith("group.")]
    listed = [name for group in groups for name in group.parameters]
    assert sorted(listed) == sorted(name for name, _ in network.classifier.named_parameters())


def test_its_layer_groups_run_from_stem_to_head(network: Network) -> None:
    """In the order in which a picture meets them."""
    place = {
        name.rpartition(".")[0]: index
        for index, group in enumerate(network.classifier.layer_groups())
        for name in group.parameters
    }
    met = [place[name] for name in network.seen.met]
    assert met and met == sorted(met)


def test_it_freezes_at_each_layer_group(network: Network) -> None:
    classifier = network.classifier
    groups = classifier.layer_groups()
    for frozen in range(len(groups)):
        classifier.freeze([index >= frozen for index in range(len(groups) - 1)], "trained")
        for index, group in enumerate(groups):
            trained = {p.requires_grad for p in classifier.parameters_of(group)}
            assert trained == {index >= frozen}, (frozen, group.name)


@pytest.mark.parametrize("share", [0.5, 1.0])
def test_what_is_frozen_stays(with_values: Network, share: float) -> None:
    """No gradient, and no buffer moves; what is trained has a gradient."""
    classifier = with_values.classifier
    count = len(classifier.layer_groups()) - 1
    frozen = round(share * count)
    classifier.freeze([index >= frozen for index in range(count)], "trained")
    before = {name: buffer.clone() for name, buffer in classifier.backbone.named_buffers()}
    with_values.train()
    assert all((p.grad is not None) == p.requires_grad for p in classifier.parameters())
    after = dict(classifier.backbone.named_buffers())
    moved = {name for name in before if not torch.equal(before[name], after[name])}
    assert not [n for n in moved if not owner_is_trained(classifier.backbone, n)]


def owner_is_trained(backbone: nn.Module, buffer: str) -> bool:
    owner = backbone.get_submodule(buffer.rpartition(".")[0])
    return any(p.requires_grad for p in owner.parameters())


def test_it_is_saved_and_loaded_bit_by_bit(
    with_values: Network, tiny_params: Callable[..., dict[str, Any]], tmp_path: Path
) -> None:
    classifier = with_values.classifier
    params = tiny_params()
    experiment = replace(Experiment.from_params(params), model=with_values.model)
    save(
        tmp_path,
        classifier,
        experiment=experiment,
        input_spec=classifier.input_spec,
        classes=[str(index) for index in range(10)],
        training={},
        pretrained=None,
        data_digest="",
    )
    loaded, contract = model_folder.load(tmp_path)
    assert contract.architecture["name"] == experiment.model.name
    state = classifier.state_dict()
    assert list(loaded.state_dict()) == list(state)
    assert all(torch.equal(state[name], t) for name, t in loaded.state_dict().items())
    with torch.no_grad():
        images = with_values.images()
        assert torch.equal(loaded(images), classifier.eval()(images))


def test_checkpointing_gives_the_same_gradients(
    with_values: Network, monkeypatch: pytest.MonkeyPatch
) -> None:
    classifier, kept = with_values.classifier, with_values.gradients
    classifier.freeze([True] * (len(classifier.layer_groups()) - 1), "trained")
    try:
        classifier.backbone.set_grad_checkpointing(True)
    except AssertionError as refusal:  # timm's way to say that a network of its own cannot
        assert type(classifier.backbone).__module__.startswith("timm.")
        assert "not supported" in str(refusal)
        return
    calls = []
    original = torch.utils.checkpoint.checkpoint

    def counted(*arguments: Any, **keywords: Any) -> Any:
        calls.append(arguments[0])
        return original(*arguments, **keywords)

    monkeypatch.setattr(torch.utils.checkpoint, "checkpoint", counted)
    recomputed = with_values.train()
    assert calls, "nothing was computed again"
    classifier.backbone.set_grad_checkpointing(False)
    for one, other in zip(recomputed, kept, strict=True):
        assert torch.allclose(one, other, rtol=1e-4, atol=1e-6)


def architecture(word: str) -> tuple[str, dict[str, Any]]:
    """What timm's `create_model` is asked for."""
    model: Any = build(composed(*overrides(word))["model"], Model, "model")  # type: ignore[type-abstract]
    return model.architecture, model._arguments()


@pytest.mark.parametrize("word", ENTRIES)
def test_timm_takes_its_feature_maps(word: str) -> None:
    name, arguments = architecture(word)
    with torch.device("meta"):
        maps = timm.create_model(name, features_only=True, **arguments)
        channels, size, _ = maps.pretrained_cfg["input_size"]
        found = maps(torch.zeros(1, arguments.get("in_chans", channels), size, size))
    assert [m.shape[1] for m in found] == maps.feature_info.channels()
    for m, reduction in zip(found, maps.feature_info.reduction(), strict=True):
        assert abs(m.shape[-1] - size / reduction) <= 4  # unpadded convolutions lose a border


def of_many_sizes() -> set[str]:
    """Configurations that others are made of: one comment cannot give the size of all of them."""
    used = [line for file in CONF.glob("model/*.yaml") for line in file.read_text().splitlines()]
    return {word for word in ENTRIES if f"defaults: [{word}]" in used} | {"timm"}


@pytest.mark.parametrize("word", sorted(set(ENTRIES) - of_many_sizes()))
def test_its_comment_gives_its_size(word: str) -> None:
    """Parameters with its own classifier; px as it was trained."""
    said = ENTRIES[word].parameters
    assert said is not None, "the first line: '# NAME: 1.2 million parameters, 224 px; ...'"
    name, arguments = architecture(word)
    with torch.device("meta"):
        backbone = timm.create_model(name, **arguments)
    count, tolerance = said
    assert sum(p.numel() for p in backbone.parameters()) == pytest.approx(count, abs=tolerance)
    assert ENTRIES[word].columns[2] == str(backbone.pretrained_cfg["input_size"][-1])


def from_timms_hub(word: str) -> bool:
    return ENTRIES[word].origin.startswith("Hugging Face: timm/")


@pytest.mark.parametrize("word", list(filter(from_timms_hub, ENTRIES)))
def test_weights_from_timms_hub_are_those_of_the_architecture(word: str) -> None:
    model: Any = build(composed(f"model={word}")["model"], Model, "model")  # type: ignore[type-abstract]
    config = timm.models.get_pretrained_cfg(model.architecture)
    assert model.weights.source.repository == config.hf_hub_id == f"timm/{model.architecture}"
    assert model.weights.licence.lower() == config.license
    assert config.num_classes == 1000
