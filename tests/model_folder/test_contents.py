from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from written_model import CLASSES, Trained, stored, write

from graftwork.config.errors import UserError
from graftwork.model_folder import contents as model_folder
from graftwork.model_folder.contents import (
    BACKBONE,
    CONTRACT,
    HEAD,
    load,
    read_contract,
)
from graftwork.models.network.tensors import tensors_of
from graftwork.storage import files


def test_what_is_saved_is_loaded(tmp_path: Path, trained: Trained) -> None:
    contract = write(tmp_path, trained)
    loaded, found = load(tmp_path)
    assert found == contract and found.classes == CLASSES
    assert found.input_spec == trained[1].input_spec
    images = torch.randn(2, 3, 32, 32)
    assert not loaded.training
    assert torch.equal(loaded(images), trained[1].eval()(images))


def test_the_contract_says_what_prediction_needs(tmp_path: Path, trained: Trained) -> None:
    write(tmp_path, trained, pretrained={"sha256": "abc"})
    text = json.loads((tmp_path / CONTRACT).read_text())
    assert text["format"] == model_folder.FORMAT
    assert text["architecture"]["architecture"] == "tiny_cnn"
    assert text["architecture"]["head"]["hidden"] == 512
    assert text["architecture"]["weights"] is None, "no source, no path of this machine"
    assert text["preprocessing"] == {
        "decoded_side": 256,
        "max_pixels": trained[0].dataset.max_pixels,
    }
    assert text["pretrained"] == {"sha256": "abc"}


@pytest.mark.parametrize("name", [BACKBONE, HEAD, CONTRACT])
def test_a_missing_file_is_named(tmp_path: Path, trained: Trained, name: str) -> None:
    write(tmp_path, trained)
    (tmp_path / name).unlink()
    with pytest.raises(UserError, match=f"{name}: no such file"):
        load(tmp_path)


@pytest.mark.parametrize("name", [BACKBONE, HEAD])
def test_one_flipped_bit_names_both_hashes(tmp_path: Path, trained: Trained, name: str) -> None:
    contract = write(tmp_path, trained)
    content = bytearray((tmp_path / name).read_bytes())
    content[-5] ^= 1
    (tmp_path / name).write_bytes(content)
    expected = contract.weights_sha256[name]
    with pytest.raises(UserError, match=f"{name}: sha256 is .* the contract says {expected}"):
        load(tmp_path)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"format": 99}, "format 99; this graftwork reads format 3"),
        ({"unknown": 1}, "is damaged"),
        ({"input_spec": {"size": 32}}, "is damaged"),
        ({"weights_sha256": {"head.safetensors": "0"}}, "is damaged"),
        ({"weights_sha256": "0"}, "is damaged"),
        ({"weights_sha256": {BACKBONE: 1, HEAD: ""}}, "is damaged .*weights_sha256"),
        ({"classes": 5}, "is damaged .*classes: 5"),
        ({"classes": "abc"}, "is damaged .*classes: 'abc'"),
        ({"classes": ["a", 1]}, "is damaged .*classes: .'a', 1"),
        ({"classes": []}, "is damaged .*classes"),
        ({"training": "none"}, "is damaged .*training: 'none'"),
        ({"pretrained": "x"}, "is damaged .*pretrained: 'x'"),
        ({"architecture": []}, "is damaged .*architecture"),
        ({"data_digest": 1}, "is damaged .*data_digest: 1"),
    ],
)
def test_another_contract_is_refused(
    tmp_path: Path, trained: Trained, change: dict[str, Any], said: str
) -> None:
    write(tmp_path, trained)
    changed(tmp_path, **change)
    with pytest.raises(UserError, match=said):
        read_contract(tmp_path)


def changed(folder: Path, **change: Any) -> dict[str, Any]:
    """Changes what model.json says; returns the whole of it as it was."""
    path = folder / CONTRACT
    before = json.loads(path.read_text())
    path.write_text(json.dumps(files.seal(before | change)))
    return before


@pytest.mark.parametrize(
    ("group", "key", "value"),
    [
        ("input_spec", "size", "32"),
        ("input_spec", "size", True),
        ("input_spec", "size", -32),
        ("input_spec", "mean", 0.5),
        ("input_spec", "mean", []),
        ("input_spec", "mean", ["0.5"]),
        ("input_spec", "mean", [0.5]),
        ("input_spec", "std", [0.5, 0.0, 0.5]),
        ("input_spec", "std", [0.5, float("nan"), 0.5]),
        ("input_spec", "interpolation", 3),
        ("input_spec", "crop_pct", "1"),
        ("preprocessing", "decoded_side", None),
        ("preprocessing", "max_pixels", float("inf")),
    ],
)
def test_numbers_that_are_none_are_refused(
    tmp_path: Path, trained: Trained, group: str, key: str, value: Any
) -> None:
    write(tmp_path, trained)
    found = changed(tmp_path)[group]
    changed(tmp_path, **{group: found | {key: value}})
    with pytest.raises(UserError, match=f"model.json: is damaged .{group}"):
        read_contract(tmp_path)


@pytest.mark.parametrize(
    "change",
    [
        {"architecture": {"architecture": "${oc.env:SECRET}"}},
        {"architecture": {"options": {"depth": ["x${oc.env:SECRET}"]}}},
        {"architecture": {"options": {"${oc.env:SECRET}": 1}}},
    ],
)
def test_no_contract_reads_the_environment(
    tmp_path: Path, trained: Trained, change: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SECRET", "hunter2")
    write(tmp_path, trained)
    architecture = changed(tmp_path)["architecture"] | change["architecture"]
    changed(tmp_path, architecture=architecture, classes=["${oc.env:SECRET}", "green", "red"])
    with pytest.raises(
        UserError, match="model.json: is damaged .*architectures hold plain"
    ) as refused:
        load(tmp_path)
    assert "hunter2" not in str(refused.value)
    write(tmp_path, trained, classes=["${oc.env:SECRET}", "green", "red"])
    assert load(tmp_path)[1].classes[0] == "${oc.env:SECRET}", "a class may be called so"


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"options": {"checkpoint_path": "/tmp/x.pth"}}, "options.checkpoint_path: is no property"),
        ({"options": {"nonsense": 1}}, "cannot be built with {'nonsense': 1}"),
        ({"options": {"norm_layer": "batchnorm2d", "num_classes": "many"}}, "no network"),
        ({"pooling": "none"}, "architecture.pooling: 'none' is unknown"),
        ({"architecture": "hf-hub:some/where"}, "'hf-hub:some/where' is unknown"),
    ],
)
def test_a_contract_from_which_nothing_can_be_built_names_the_folder(
    tmp_path: Path, trained: Trained, change: dict[str, Any], said: str
) -> None:
    write(tmp_path, trained)
    changed(tmp_path, architecture=changed(tmp_path)["architecture"] | change)
    with pytest.raises(UserError, match=said) as refused:
        load(tmp_path)
    assert str(refused.value).startswith(f"{tmp_path / CONTRACT}: no network can be built from it")


def test_a_file_without_tensors_is_refused_though_its_sha256_is_right(
    tmp_path: Path, trained: Trained
) -> None:
    write(tmp_path, trained)
    (tmp_path / HEAD).write_bytes(b"none")
    hashes = changed(tmp_path)["weights_sha256"]
    changed(tmp_path, weights_sha256=hashes | {HEAD: hashlib.sha256(b"none").hexdigest()})
    with pytest.raises(UserError, match=f"{HEAD}: holds no tensors that can be read"):
        load(tmp_path)


def test_weights_of_another_architecture_are_refused(tmp_path: Path, trained: Trained) -> None:
    write(tmp_path / "whole", trained)
    weights = stored(tmp_path / "whole", trained[1])
    head = {name: tensor for name, tensor in weights.head.items() if name != "head.out.bias"}
    write(tmp_path / "part", trained, weights=replace(weights, head=head))
    with pytest.raises(UserError, match="the weights do not fit their contract"):
        load(tmp_path / "part")


def test_a_network_that_has_come_to_want_other_input_is_refused(
    tmp_path: Path, trained: Trained
) -> None:
    spec = replace(trained[1].input_spec, crop_pct=0.5)
    write(tmp_path, trained, input_spec=spec)
    with pytest.raises(UserError, match="Use the library versions of the training"):
        load(tmp_path)


def test_a_head_on_stored_features_needs_no_torch(tmp_path: Path, trained: Trained) -> None:
    """Tensors of the backbone, a head from numpy: the folder is the same as the classifier's."""
    write(tmp_path / "model", trained)
    np.savez(tmp_path / "tensors.npz", **tensors_of(trained[1]))
    code = (
        "import sys, numpy as np; from pathlib import Path;"
        "from graftwork.model_folder import contents as m;"
        "from graftwork.models.network import tensors;"
        "from safetensors.numpy import load_file;"
        "folder = Path(sys.argv[1]); c = m.read_contract(folder / 'model');"
        "t = dict(np.load(folder / 'tensors.npz'));"
        "h = (folder / 'model/head.safetensors').read_bytes();"
        "assert tensors.serialised(tensors.part(t, 'head.')) == h;"
        "assert m.read_tensors(folder / 'model', c).keys() == t.keys();"
        "assert not {'torch', 'timm'} & set(sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code, str(tmp_path)]).returncode == 0
