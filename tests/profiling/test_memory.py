from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest
import torch
from conftest import composed
from torch import nn

from graftwork.config.components import build
from graftwork.config.errors import UserError
from graftwork.models.base import InputSpec
from graftwork.models.network.classifier import Classifier
from graftwork.profiling.memory import GAPS, forecast
from graftwork.transfer.parts import Moment, Trainable
from graftwork.transfer.strategy import Transfer
from graftwork.transfer.trainable import FromGroup

SIDE, CLASSES = 32, 10
WEIGHTS = 3 * 8 * 9 + 8 + 8 * 16 * 9 + 16  # of both convolutions, biases too
HEAD = 16 * CLASSES + CLASSES
BUFFERS = 6  # mean and deviation of the input


class Chain(nn.Module):
    """Two convolutions, ReLU between them, and a mean, in timm's terms."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Conv2d(3, 8, 3, padding=1)
        self.act = nn.ReLU()
        self.second = nn.Conv2d(8, 16, 3, padding=1)

    def forward_features(self, x: torch.Tensor) -> torch.Tensor:
        return self.second(self.act(self.first(x)))

    def forward_head(self, x: torch.Tensor, pre_logits: bool = False) -> torch.Tensor:
        return x.mean((2, 3))

    def group_matcher(self, coarse: bool = False) -> dict[str, str]:
        return {"stem": "^first", "blocks": "^second"}


class Unfreezing(Trainable):
    """One group more in each epoch."""

    def groups(self, names: Sequence[str], moment: Moment) -> list[bool]:
        return [len(names) - index <= moment.epoch for index, _ in enumerate(names)]


@pytest.fixture
def chain() -> Classifier:
    spec = InputSpec(SIDE, (0.5,) * 3, (0.5,) * 3, "bilinear", 1.0)
    return Classifier(Chain(), "default", nn.Linear(16, CLASSES), spec, 16)


@pytest.fixture
def transfer() -> Transfer:
    """Everything is trained, nothing kept beside."""
    return build(composed("transfer=from_scratch")["transfer"], Transfer, "transfer")


def maps(channels: int, batch: int, size: int = 4) -> int:
    return channels * SIDE * SIDE * batch * size


def rest(batch: int) -> int:
    """Labels; features, logits and their logarithms for the head and the loss, with its scalars."""
    return 8 * batch + 4 * batch * (16 + 2 * CLASSES) + 64


def test_a_chain_of_convolutions_by_hand(chain: Classifier, transfer: Transfer) -> None:
    found = forecast(chain, transfer, batch_size=4, precision="fp32")
    trained = 4 * (WEIGHTS + HEAD)
    assert found.parameters == 2 * (trained + 4 * BUFFERS)  # the first weights beside
    assert (found.gradients, found.optimiser) == (trained, 2 * trained)
    # Bytes of pixels, normalised pixels, and the map behind ReLU, which ReLU and the second
    # convolution share. Nobody needs the others again.
    expected = maps(3, 4, 1) + maps(3, 4) + maps(8, 4)
    assert expected < found.activations <= expected + rest(4)
    known = found.parameters + found.gradients + found.optimiser + found.activations
    second = maps(8, 4) + maps(16, 4) + 4 * (8 * 16 * 9 + 16)  # the largest layer
    assert found.workspace == second + round(GAPS * (known + second))
    assert found.total == known + found.workspace == found.as_dict()["total"]


@pytest.mark.parametrize(
    ("overrides", "moments"),
    [
        (("transfer/optimiser=adamw",), 2),
        (("transfer/optimiser=sgd",), 1),
        (("transfer/optimiser=sgd", "transfer.optimiser.momentum=0"), 0),
        (("transfer/optimiser=by_name", "transfer.optimiser.name=lion"), 1),
        (("transfer/optimiser=lamb",), 2),
    ],
)
def test_an_optimiser_is_asked_what_it_keeps(
    chain: Classifier, overrides: tuple[str, ...], moments: int
) -> None:
    values = composed("transfer=from_scratch", *overrides)["transfer"]
    found = forecast(chain, build(values, Transfer, "transfer"), batch_size=1, precision="fp32")
    assert found.gradients > 0 and found.optimiser == moments * found.gradients


def test_a_penalty_that_holds_on_to_the_start_holds_a_copy_of_it(chain: Classifier) -> None:
    found = {}
    for name in ("fine_tune", "l2_sp", "delta", "bss"):
        transfer = build(composed(f"transfer={name}")["transfer"], Transfer, "transfer")
        transfer = replace(transfer, trainable=FromGroup("0"))
        found[name] = forecast(chain, transfer, batch_size=1, precision="fp32").parameters
    assert found["bss"] == found["fine_tune"]
    assert found["l2_sp"] == found["delta"] == 3 * found["fine_tune"] // 2


def test_a_frozen_prefix_saves_nothing(chain: Classifier, transfer: Transfer) -> None:
    whole = forecast(chain, transfer, batch_size=4, precision="fp32")
    later = forecast(
        chain, replace(transfer, trainable=FromGroup("1")), batch_size=4, precision="fp32"
    )
    assert whole.activations - later.activations == maps(3, 4)
    trained = 4 * (8 * 16 * 9 + 16 + HEAD)
    assert (later.gradients, later.optimiser) == (trained, 2 * trained)
    assert later.parameters == whole.parameters
    head = forecast(
        chain, replace(transfer, trainable=FromGroup("2")), batch_size=4, precision="fp32"
    )
    assert maps(3, 4, 1) < head.activations <= maps(3, 4, 1) + rest(4)
    assert head.optimiser == 2 * 4 * HEAD


def test_the_most_demanding_epoch_counts(chain: Classifier, transfer: Transfer) -> None:
    slowly = replace(transfer, trainable=Unfreezing(), epochs=3)
    whole = forecast(chain, transfer, batch_size=4, precision="fp32")
    assert forecast(chain, slowly, batch_size=4, precision="fp32") == whole
    short = forecast(chain, replace(slowly, epochs=1), batch_size=4, precision="fp32")
    assert short.total < whole.total


def test_bf16_saves_maps_and_weights_in_half(chain: Classifier, transfer: Transfer) -> None:
    found = forecast(chain, transfer, batch_size=4, precision="bf16")
    expected = maps(3, 4, 1) + maps(3, 4, 2) + maps(8, 4, 2) + 2 * WEIGHTS
    assert expected < found.activations <= expected + 2 * rest(4)
    assert found.gradients == 4 * (WEIGHTS + HEAD)


def test_of_a_probe_only_the_forward_pass_is_left(chain: Classifier) -> None:
    probe = build(composed("transfer=linear_probe")["transfer"], Transfer, "transfer")
    found = forecast(chain, probe, batch_size=4, precision="fp32")
    assert found.parameters == 4 * (WEIGHTS + HEAD + BUFFERS)
    assert (found.gradients, found.optimiser) == (0, 0)
    assert found.activations == maps(3, 4, 1)
    assert found.workspace > maps(8, 4) + maps(16, 4)


def test_a_folded_batch_norm_saves_no_map() -> None:
    from graftwork.models.base import Model

    network = build(composed("model=tiny_cnn")["model"], Model, "model").build(3, None)
    frozen = build(composed("transfer=fine_tune")["transfer"], Transfer, "transfer")
    trained = replace(frozen, batch_norm="trained")
    folded = forecast(network, frozen, batch_size=4, precision="fp32")
    normal = forecast(network, trained, batch_size=4, precision="fp32")
    # BatchNorm's input is not needed again; what follows is, and folded weights are kept for it.
    saved_maps = 4 * 4 * (16 * 16 * 16 + 32 * 8 * 8 + 64 * 4 * 4)
    weights = sum(p.nbytes for n, p in network.named_parameters() if "conv" in n)
    difference = normal.activations - folded.activations
    assert difference == pytest.approx(saved_maps - weights, rel=0.05)
    # The last convolution is the largest layer. ReLU in place, and what remains of BatchNorm, hand
    # on the map they get.
    last = 4 * 4 * (32 * 8 * 8 + 64 * 4 * 4) + 4 * 32 * 64 * 9
    known = folded.total - folded.workspace
    assert folded.workspace == last + round(GAPS * (known + last))


def test_the_classifier_is_left_as_it_was(chain: Classifier, transfer: Transfer) -> None:
    chain.eval().requires_grad_(False)
    before = {name: tensor.clone() for name, tensor in chain.state_dict().items()}
    forecast(chain, transfer, batch_size=2, precision="bf16")
    assert not chain.training
    assert not any(p.requires_grad or p.grad is not None for p in chain.parameters())
    assert all(torch.equal(before[name], tensor) for name, tensor in chain.state_dict().items())
    assert chain(torch.zeros(1, 3, SIDE, SIDE)).device.type == "cpu"


@pytest.mark.parametrize("wrong", [{"batch_size": 0}, {"precision": "fp16"}], ids=str)
def test_wrong_settings_are_refused(
    chain: Classifier, transfer: Transfer, wrong: dict[str, object]
) -> None:
    settings = {"batch_size": 2, "precision": "fp32", **wrong}
    with pytest.raises(UserError, match=next(iter(wrong))):
        forecast(chain, transfer, **settings)  # type: ignore[arg-type]
