from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from graftwork.config.errors import UserError
from graftwork.experiment import Experiment
from graftwork.model_folder import contents as model_folder
from graftwork.model_folder.contents import (
    BACKBONE,
    CONTRACT,
    HEAD,
    StoredBackbone,
    load,
    read_contract,
    save,
)
from graftwork.models.network.classifier import Classifier
from graftwork.models.network.tensors import part, tensors_of
from graftwork.storage import files, swapping

CLASSES = ["blue", "green", "red"]
Trained = tuple[Experiment, Classifier]


@pytest.fixture
def trained(tiny_params: Callable[..., dict[str, Any]]) -> Trained:
    experiment = Experiment.from_params(tiny_params("model/head=mlp", "model.pooling=avgmax"))
    torch.manual_seed(0)
    classifier = experiment.model.build(3, None)
    classifier.train()(torch.randn(4, 3, 32, 32))  # statistics are no longer those of the start
    return experiment, classifier


def write(folder: Path, trained: Trained, **changes: Any) -> model_folder.Contract:
    experiment, classifier = trained
    values: dict[str, Any] = {
        "experiment": experiment,
        "input_spec": classifier.input_spec,
        "classes": CLASSES,
        "training": {"strategy": "from_scratch", "epochs": 1},
        "pretrained": None,
        "data_digest": "d",
    }
    return save(folder, changes.pop("weights", classifier), **values | changes)


def test_what_is_saved_is_loaded(tmp_path: Path, trained: Trained) -> None:
    contract = write(tmp_path, trained)
    loaded, found = load(tmp_path)
    assert found == contract and found.classes == CLASSES
    assert found.input_spec == trained[1].input_spec
    images = torch.randn(2, 3, 32, 32)
    assert not loaded.training
    assert torch.equal(loaded(images), trained[1].eval()(images))


def test_the_same_model_gives_the_same_bytes(tmp_path: Path, trained: Trained) -> None:
    write(tmp_path / "a", trained)
    write(tmp_path / "b", trained)
    write(tmp_path / "c", trained, weights=stored(tmp_path / "a", trained[1]))
    for name in (BACKBONE, HEAD, CONTRACT):
        first = (tmp_path / "a" / name).read_bytes()
        assert first == (tmp_path / "b" / name).read_bytes() == (tmp_path / "c" / name).read_bytes()
    assert sorted(path.name for path in (tmp_path / "a").iterdir()) == [BACKBONE, HEAD, CONTRACT]


def stored(folder: Path, classifier: Classifier) -> StoredBackbone:
    """The head of a classifier, on the backbone of a folder."""
    head = part(tensors_of(classifier), "head.")
    backwards = dict(reversed(head.items()))
    return StoredBackbone(
        folder / BACKBONE, read_contract(folder).weights_sha256[BACKBONE], backwards
    )


def test_a_stored_backbone_is_linked_or_else_copied(
    tmp_path: Path, trained: Trained, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path / "a", trained)
    weights = stored(tmp_path / "a", trained[1])
    write(tmp_path / "b", trained, weights=weights)
    assert (tmp_path / "a" / BACKBONE).samefile(tmp_path / "b" / BACKBONE)

    def fail(*_: object) -> None:
        raise OSError("another file system")

    (tmp_path / "cache").mkdir()
    weights.file.rename(tmp_path / "cache" / "file")  # as DVC does with cache.type=symlink
    weights.file.symlink_to(tmp_path / "cache" / "file")
    write(tmp_path / "d", trained, weights=weights)
    assert not (tmp_path / "d" / BACKBONE).is_symlink()

    monkeypatch.setattr(files.os, "link", fail)
    write(tmp_path / "c", trained, weights=weights)
    assert not (tmp_path / "a" / BACKBONE).samefile(tmp_path / "c" / BACKBONE)
    for name in ("b", "c", "d"):
        load(tmp_path / name)


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


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*.*")}


def test_a_save_that_fails_leaves_the_earlier_model(
    tmp_path: Path, trained: Trained, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "model"
    write(folder, trained)
    before = contents(tmp_path)

    def full(*_: Any, **__: Any) -> None:
        raise OSError(28, "No space left on device")

    for name in ("write_durably", "params_of"):
        with monkeypatch.context() as patch:
            patch.setattr(model_folder, name, full)
            with pytest.raises(OSError, match="No space"):
                write(folder, trained)
        assert contents(tmp_path) == before, name


@pytest.mark.parametrize("way", ["at once", "another system", "mounted"])
def test_the_new_model_takes_the_place_of_the_old(
    tmp_path: Path, trained: Trained, monkeypatch: pytest.MonkeyPatch, way: str
) -> None:
    if way != "at once":
        monkeypatch.setattr(swapping.ctypes, "CDLL", lambda *_, **__: object())
    if way == "mounted":
        monkeypatch.setattr(swapping, "_renamed", lambda *_: False)
    folder = tmp_path / "model"
    write(folder, trained)
    (folder / "notes.txt").write_text("mine")
    write(folder, trained, data_digest="new")
    assert load(folder)[1].data_digest == "new"
    assert sorted(contents(folder)) == [BACKBONE, HEAD, CONTRACT, "notes.txt"]
    assert not list(tmp_path.glob(".model*"))


KILLED = """
import os, sys
from pathlib import Path
from graftwork.storage import swapping
folder = Path(sys.argv[1])
steps = iter(range(int(sys.argv[2])))
def end(*_):  # kill -9 at the n-th step that touches a name
    if next(steps, None) is None:
        os.kill(os.getpid(), 9)
for name in ("open", "os.rename", "os.mkdir", "os.remove", "os.rmdir", "ctypes.dlsym"):
    sys.addaudithook(lambda event, _, name=name: end() if event == name else None)
with swapping.swapped_in(folder, "last") as partial:
    for name in ("first", "last"):
        (partial / name).write_text("new")
"""


def test_a_save_that_is_killed_leaves_one_whole_model(tmp_path: Path) -> None:
    seen = set()
    for step in range(40):
        folder = tmp_path / str(step) / "model"
        folder.mkdir(parents=True)
        for name in ("first", "last"):
            (folder / name).write_text("old")
        command = [sys.executable, "-c", KILLED, str(folder), str(step)]
        code = subprocess.run(command, check=False).returncode
        found = {name: (folder / name).read_text() for name in ("first", "last")}
        assert set(found.values()) in ({"old"}, {"new"}), (step, found)
        seen |= set(found.values())
        if code == 0:
            break
    assert seen == {"old", "new"} and step > 5


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
    subprocess.run([sys.executable, "-c", code, str(tmp_path)], check=True)
