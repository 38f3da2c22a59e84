from __future__ import annotations

import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from conftest import composed

from graftwork.config.components import build
from graftwork.config.errors import UserError
from graftwork.models import timm_model
from graftwork.models.base import Model, Weights, WeightsFile
from graftwork.models.timm_model import TimmModel, registered


def model(*overrides: str) -> TimmModel:
    found = build(composed(*overrides)["model"], Model, "model")  # type: ignore[type-abstract]
    assert isinstance(found, TimmModel)
    return found


def test_the_backbone_is_asked_what_it_wants_to_see() -> None:
    spec = model("model=efficientnet_lite0").build(14, None).input_spec
    assert (spec.size, spec.mean, spec.interpolation) == (224, (0.5, 0.5, 0.5), "bicubic")
    assert spec.crop_pct == 0.875


def test_any_timm_name_by_one_key() -> None:
    chosen = model("model=timm", "model.architecture=resnet10t")
    assert chosen.name == "resnet10t"
    classifier = chosen.build(5, None)
    assert classifier.num_features == 512
    assert classifier(torch.zeros(1, 3, 64, 64)).shape == (1, 5)


@pytest.mark.parametrize(
    ("pooling", "width"), [("avg", 64), ("max", 64), ("avgmax", 64), ("flatten", 1024)]
)
def test_pooling_and_head_are_chosen_by_key(pooling: str, width: int) -> None:
    chosen = model("model=tiny_cnn", f"model.pooling={pooling}", "model/head=mlp")
    classifier = chosen.build(3, None)
    assert classifier.num_features == width
    assert classifier.head.hidden.in_features == width
    assert classifier(torch.zeros(2, 3, 32, 32)).shape == (2, 3)


def test_tokens_are_pooled_without_the_class_token() -> None:
    chosen = model("model=timm", "model.architecture=vit_tiny_patch16_224")
    images = torch.randn(2, 3, 96, 96)
    found = {}
    for pooling in ("default", "avg"):
        torch.manual_seed(0)
        classifier = replace(chosen, pooling=pooling, input_size=96).build(3, None).eval()
        found[pooling] = classifier.features(images)
        tokens = classifier.backbone.forward_features(images)
    assert torch.allclose(found["default"], tokens[:, 0])
    assert torch.allclose(found["avg"], tokens[:, 1:].mean(1))


def test_layers_behind_the_own_pooling_are_not_among_the_trained() -> None:
    chosen = model("model=timm", "model.architecture=mobilenetv3_small_050")
    own = replace(chosen, pooling="default", input_size=32).build(3, None)
    other = replace(chosen, pooling="max", input_size=32).build(3, None)
    assert (own.num_features, other.num_features) == (1024, 288)
    assert "conv_head" in [group.name for group in own.layer_groups()]
    assert "conv_head" not in [group.name for group in other.layer_groups()]
    other.freeze([True] * (len(other.layer_groups()) - 1), "trained")
    other(torch.zeros(2, 3, 32, 32)).sum().backward()
    trained = [p for p in other.parameters() if p.requires_grad]
    assert all(p.grad is not None for p in trained)


def test_input_size_moves_position_embeddings() -> None:
    chosen = model("model=timm", "model.architecture=vit_tiny_patch16_224", "model.input_size=64")
    classifier = chosen.build(3, None)
    assert classifier.input_spec.size == 64
    assert classifier(torch.zeros(1, 3, 64, 64)).shape == (1, 3)


def test_an_input_size_that_the_network_cannot_take_is_refused() -> None:
    chosen = model("model=timm", "model.architecture=tnt_s_patch16_224", "model.input_size=160")
    with pytest.raises(UserError, match="input_size: tnt_s_patch16_224 cannot take 160 px"):
        chosen.build(3, None)


def test_an_unknown_tag_names_the_known_ones() -> None:
    chosen = model("model=timm", "model.architecture=resnet18.a1_in2k")
    with pytest.raises(UserError, match="Did you mean 'resnet18.a1_in1k'"):
        chosen.build(3, None)


@pytest.mark.parametrize(
    "name",
    ["checkpoint_path", "cache_dir", "pretrained", "pretrained_cfg_overlay", "features_only"],
)
def test_options_that_read_files_are_refused_by_name(name: str) -> None:
    with pytest.raises(UserError, match=f"^model.options.{name}: is no property of a network"):
        model("model=tiny_cnn", f"+model.options={{{name}: x}}")


def test_options_that_the_network_does_not_have_are_named() -> None:
    chosen = model("model=tiny_cnn", "+model.options={nonsense: 1}")
    with pytest.raises(UserError, match="model.options: tiny_cnn cannot be built with .*nonsense"):
        chosen.build(3, None)


def test_pretrained_weights_are_loaded(tmp_path: Path) -> None:
    tiny = model("model=tiny_cnn")
    torch.manual_seed(1)
    source = tiny.build(10, None).backbone.state_dict()
    torch.save(source, tmp_path / "w.pth")
    torch.manual_seed(2)
    file = WeightsFile(tmp_path / "w.pth", "by_name", "here")
    loaded = tiny.build(3, file).backbone.state_dict()
    assert all(torch.equal(loaded[name], source[name]) for name in source)


def test_an_unknown_key_map_is_refused() -> None:
    with pytest.raises(UserError, match="key_map: 'by_nme' is unknown. Did you mean 'by_name'"):
        Weights(None, "by_nme", "x", "x")  # type: ignore[arg-type]


def test_a_misspelt_name_is_refused_in_a_blink_with_the_nearest() -> None:
    with pytest.raises(UserError, match="'rsnet34' is unknown. Did you mean 'resnet34'"):
        model("model=timm", "model.architecture=rsnet34")


def test_names_are_known_without_torch() -> None:
    code = (
        "import sys; from graftwork.models.timm_model import registered;"
        "assert {'resnet18', 'tiny_cnn', 'vit_base_patch16_224'} <= registered();"
        "assert not {'torch', 'timm'} & set(sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


@pytest.fixture
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the folder of own networks, which may be edited."""
    copy = Path(shutil.copytree(timm_model.OWN, tmp_path / "own"))
    monkeypatch.setattr(timm_model, "OWN", copy)
    return copy


def versions() -> dict[str, str]:
    return timm_model.own_versions.__wrapped__()


def test_a_new_network_and_a_comment_leave_the_versions_of_others(own: Path) -> None:
    before = versions()
    assert before["tiny_cnn"] == model("model=tiny_cnn").version == "1"
    with (own / "tiny_cnn.py").open("a") as file:
        file.write("# explained\n")
    (own / "nin.py").write_text("VERSION = 3\n\n@register_model\ndef nin():\n")
    assert versions() == {**before, "nin": "3"}


def test_a_network_that_declares_no_version_counts_by_its_code(own: Path) -> None:
    def version(code: str) -> str:
        (own / "nin.py").write_text(code)
        return versions()["nin"]

    code = "@register_model\ndef nin():\n    return 1\n"
    assert version(code) == version(f"# why\n{code}")
    assert version(code) != version(code.replace("1", "2"))


def test_a_model_of_another_package_counts_by_its_code() -> None:
    (field,) = (value for key, value in vars(Model).items() if key == "version")
    assert len(field.fget(model("model=tiny_cnn"))) == 16


def test_the_names_are_those_that_timm_registers() -> None:
    from graftwork.models.backbones import register
    from graftwork.process.vision import timm

    register()
    deprecated: Any = timm.models._registry._deprecated_models
    assert set(timm.list_models()) - set(deprecated) == registered()
