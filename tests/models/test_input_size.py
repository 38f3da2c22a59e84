"""Any size that a network can take; of others, the nearest that it can."""

from __future__ import annotations

import re

import pytest
import torch
from conftest import composed

from graftwork.config.components import build
from graftwork.config.errors import UserError
from graftwork.models import timm_model
from graftwork.models.base import Model
from graftwork.models.input_size import nearest_sizes
from graftwork.process.vision import timm


def model(architecture: str, size: int) -> Model:
    values = composed("model=timm", f"model.architecture={architecture}")["model"]
    return build(values | {"input_size": size}, Model, "model")  # type: ignore[type-abstract]


@pytest.mark.parametrize(
    ("architecture", "size"),
    [
        ("tiny_cnn", 45),
        ("resnet10t", 71),
        ("mobilenetv3_small_050", 50),
        ("densenet121", 61),
        ("vit_tiny_patch16_224", 48),
        ("swin_tiny_patch4_window7_224", 100),
    ],
)
def test_other_sizes_are_taken_where_the_network_allows(architecture: str, size: int) -> None:
    with torch.device("meta"):
        classifier = model(architecture, size).build(3, None)
        assert classifier.input_spec.size == size
        assert classifier(torch.zeros(2, 3, size, size)).shape == (2, 3)


@pytest.mark.parametrize(
    ("architecture", "size", "reason", "nearest"),
    [
        ("vit_tiny_patch16_224", 40, "patches are 16 px", "32 and 48"),
        ("vit_tiny_patch16_224", 8, "patches are 16 px", "16"),
        ("swin_tiny_patch4_window7_224", 98, "patches are 4 px", "96 and 100"),
        ("inception_v3", 40, "Kernel size can't be greater", "75"),
        ("densenet121", 16, "Output size is too small", "29"),
        # Another network, of a reason that one above has too.
        pytest.param("convnext_atto", 16, "Kernel size can't", "32", marks=pytest.mark.slow),
        ("tnt_s_patch16_224", 160, "doesn't match model", "224"),
    ],
)
def test_what_a_network_cannot_take_names_the_nearest_that_it_can(
    architecture: str, size: int, reason: str, nearest: str
) -> None:
    with pytest.raises(UserError) as caught, torch.device("meta"):
        model(architecture, size).build(3, None)
    message = str(caught.value)
    assert f"model.input_size: {architecture} cannot take {size} px (" in message
    assert reason in message
    found = re.search(r"Nearest that it takes: ([\d and]+)\. ", message)
    assert found and found[1] == nearest


@pytest.mark.parametrize(
    ("architecture", "size"),
    [("densenet121", 29), ("inception_v3", 75), ("vit_tiny_patch16_224", 16)],
)
def test_the_nearest_that_are_named_are_taken_and_the_ones_beside_are_not(
    architecture: str, size: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(timm_model, "nearest_sizes", lambda *_: [])  # they are tested above
    with torch.device("meta"):
        model(architecture, size).build(3, None)
        with pytest.raises(UserError):
            model(architecture, size - 1).build(3, None)


@pytest.mark.parametrize(
    "error",
    [
        RuntimeError("[enforce fail at alloc_cpu.cpp:127] DefaultCPUAllocator: can't allocate"),
        torch.OutOfMemoryError("CUDA out of memory."),
        MemoryError(),
    ],
    ids=repr,
)
def test_want_of_memory_is_no_matter_of_shape(
    monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    def full(*_: object) -> None:
        raise error

    monkeypatch.setattr("graftwork.models.timm_model.width_of", full)
    with pytest.raises(UserError, match="not enough memory for one picture of 8000 px") as caught:
        model("tiny_cnn", 8000).build(2, None)
    assert "Nearest" not in str(caught.value)


def test_sizes_are_bounded() -> None:
    with pytest.raises(UserError, match="input_size: 99999 is out of bounds. Legal: .* <= 8192"):
        model("tiny_cnn", 99999)
    with pytest.raises(UserError, match="Nearest that it takes: 8176 and 8192"):
        _on_meta("vit_tiny_patch16_224", 8190)
    with pytest.raises(UserError, match="Nearest that it takes: 8188 and 8192"):
        _on_meta("swin_tiny_patch4_window7_224", 8191)


def _on_meta(architecture: str, size: int) -> None:
    with torch.device("meta"):
        model(architecture, size).build(3, None)


def test_looking_for_sizes_leaves_the_random_numbers_alone() -> None:
    spec = model("tiny_cnn", 32).build(2, None).input_spec
    before = torch.get_rng_state()
    assert nearest_sizes(lambda: timm.create_model("tiny_cnn", num_classes=0), "avg", spec)
    assert torch.equal(torch.get_rng_state(), before)


def test_an_error_at_the_own_size_is_no_mistake_of_the_user(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def broken(*_: object) -> None:
        raise RuntimeError("a bug")

    monkeypatch.setattr("graftwork.models.timm_model.width_of", broken)
    values = composed("model=tiny_cnn")["model"]
    with pytest.raises(RuntimeError, match="a bug"):
        build(values, Model, "model").build(2, None)  # type: ignore[type-abstract]
