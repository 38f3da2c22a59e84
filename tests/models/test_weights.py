from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file

from graftwork.config.errors import UserError
from graftwork.models import weights
from graftwork.process.vision import timm

LITE = "tf_efficientnet_lite0"


@pytest.fixture
def tiny() -> Any:
    from graftwork.models.backbones import register

    register()
    return timm.create_model("tiny_cnn")


def saved(tensors: object, path: Path) -> Path:
    torch.save(tensors, path)
    return path


def randomised(backbone: Any) -> dict[str, torch.Tensor]:
    """The state of another network of the same kind."""
    state = backbone.state_dict()
    return {
        name: torch.randn_like(t) if t.is_floating_point() else t + 7 for name, t in state.items()
    }


def assert_holds(backbone: Any, state: dict[str, torch.Tensor]) -> None:
    for name, tensor in backbone.state_dict().items():
        if not name.startswith("fc."):
            assert torch.equal(tensor, state[name]), name


def test_by_name_loads_every_tensor(tiny: Any, tmp_path: Path) -> None:
    state = randomised(tiny)
    weights.load_weights(tiny, saved(state, tmp_path / "w.pth"), "by_name")
    assert_holds(tiny, state)


def test_safetensors_load_by_name(tiny: Any, tmp_path: Path) -> None:
    state = randomised(tiny)
    save_file(state, tmp_path / "w.safetensors")
    weights.load_weights(tiny, tmp_path / "w.safetensors", "by_name")
    assert_holds(tiny, state)


def test_safetensors_have_no_positions(tiny: Any, tmp_path: Path) -> None:
    save_file(randomised(tiny), tmp_path / "w.safetensors")
    with pytest.raises(UserError, match="by_position needs the order.*by_name"):
        weights.load_weights(tiny, tmp_path / "w.safetensors", "by_position")


@pytest.mark.parametrize("with_classifier", [True, False])
def test_by_position_ignores_names(tiny: Any, tmp_path: Path, with_classifier: bool) -> None:
    state = randomised(tiny)
    renamed = {
        f"layer{index}": tensor
        for index, (name, tensor) in enumerate(state.items())
        if with_classifier or not name.startswith("fc.")
    }
    weights.load_weights(tiny, saved(renamed, tmp_path / "w.pth"), "by_position")
    assert_holds(tiny, state)


def test_by_position_with_too_many_tensors_is_refused(tiny: Any, tmp_path: Path) -> None:
    state = {**randomised(tiny), "extra": torch.zeros(1)}
    with pytest.raises(UserError, match="unexpected: surplus tensor extra"):
        weights.load_weights(tiny, saved(state, tmp_path / "w.pth"), "by_position")


def original_lite_name(name: str, flat: dict[str, int]) -> str:
    """timm's name as the EfficientNet-Lite authors wrote it: the map read backwards."""
    root = {"conv_stem": "_conv_stem", "bn1": "_bn0", "conv_head": "_conv_head", "bn2": "_bn1"}
    root["classifier"] = "_fc"
    if not name.startswith("blocks."):
        first, _, rest = name.partition(".")
        return f"{root[first]}.{rest}"
    _, stage, block, layer, leaf = name.split(".")
    number = flat.setdefault(f"{stage}.{block}", len(flat))
    first_block = {"conv_dw": "_depthwise_conv", "bn1": "_bn1", "conv_pw": "_project_conv"}
    first_block["bn2"] = "_bn2"
    others = {"conv_pw": "_expand_conv", "bn1": "_bn0", "conv_dw": "_depthwise_conv"}
    others |= {"bn2": "_bn1", "conv_pwl": "_project_conv", "bn3": "_bn2"}
    return f"_blocks.{number}.{(first_block if stage == '0' else others)[layer]}.{leaf}"


@pytest.mark.parametrize("key_map", ["efficientnet_lite", "by_position"])
def test_renamed_lite_weights_find_their_places(tmp_path: Path, key_map: str) -> None:
    backbone = timm.create_model(LITE)
    state = randomised(backbone)
    flat: dict[str, int] = {}
    original = {original_lite_name(name, flat): tensor for name, tensor in state.items()}
    assert len(original) == len(state) == 296
    weights.load_weights(backbone, saved(original, tmp_path / "w.pth"), key_map)
    loaded = backbone.state_dict()
    classifier = {"classifier.weight", "classifier.bias"}
    assert all(torch.equal(loaded[n], state[n]) for n in state if n not in classifier)


def test_lite_blocks_that_the_network_lacks_are_named(tmp_path: Path) -> None:
    backbone = timm.create_model(LITE)
    flat: dict[str, int] = {}
    original = {original_lite_name(n, flat): t for n, t in backbone.state_dict().items()}
    original["_blocks.99._bn0.weight"] = torch.zeros(1)
    with pytest.raises(UserError, match=r"unexpected: _blocks\.99\._bn0\.weight"):
        weights.load_weights(backbone, saved(original, tmp_path / "w.pth"), "efficientnet_lite")


def test_the_first_differing_names_and_shapes_are_said(tiny: Any, tmp_path: Path) -> None:
    state = randomised(tiny)
    del state["stem.conv.weight"]
    state["stem.bn.bias"] = torch.zeros(3)
    for index in range(5):
        state[f"more{index}"] = torch.zeros(1)
    with pytest.raises(UserError) as caught:
        weights.load_weights(tiny, saved(state, tmp_path / "w.pth"), "by_name")
    message = str(caught.value)
    assert "w.pth does not fit" in message
    assert "missing: stem.conv.weight;" in message
    assert "unexpected: more0, more1, more2 and 2 more;" in message
    assert "stem.bn.bias [3], the network has [16]" in message
    assert "efficientnet_lite" in message  # the legal maps


def test_the_classifier_may_be_of_other_classes_or_absent(tiny: Any, tmp_path: Path) -> None:
    state = randomised(tiny)
    state["fc.weight"], state["fc.bias"] = torch.zeros(5, 64), torch.zeros(5)
    weights.load_weights(tiny, saved(state, tmp_path / "w.pth"), "by_name")
    del state["fc.weight"], state["fc.bias"]
    weights.load_weights(tiny, saved(state, tmp_path / "w.pth"), "by_name")
    assert_holds(tiny, state)


def test_counters_that_old_files_lack_are_no_mismatch(tiny: Any, tmp_path: Path) -> None:
    state = {n: t for n, t in randomised(tiny).items() if "num_batches" not in n}
    weights.load_weights(tiny, saved(state, tmp_path / "w.pth"), "by_name")
    assert torch.equal(tiny.stem.conv.weight, state["stem.conv.weight"])


@pytest.mark.parametrize("key", ["state_dict", "model"])
def test_wrapped_states_are_unwrapped(tmp_path: Path, key: str) -> None:
    path = saved({key: {"a": torch.ones(1)}, "epoch": 3}, tmp_path / "w.pth")
    assert list(weights.read_tensors(path)) == ["a"]


@pytest.mark.parametrize("name", ["w.pth", "w.safetensors"])
def test_damaged_files_are_named(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(b"garbage")
    with pytest.raises(UserError, match=f"{name} cannot be read as weights"):
        weights.read_tensors(tmp_path / name)


def test_files_with_other_things_are_refused(tmp_path: Path) -> None:
    path = saved({"a": torch.ones(1), "lr": 0.1}, tmp_path / "w.pth")
    with pytest.raises(UserError, match="more than named tensors"):
        weights.read_tensors(path)
