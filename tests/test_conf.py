"""Every YAML is a test case: it composes, builds and is chosen by its own file name."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest
import yaml
from conftest import CONF, composed

from graftwork.experiment import Experiment

GROUPS = ("dataset", "model", "augmentation", "transfer", "trainer", "extraction", "evaluation")
# What an option cannot be built without.
NEEDS = {
    "folder": ["dataset.path={folder}"],
    "csv": ["dataset.path={folder}/table.csv"],
    "tar": ["dataset.path={folder}/shard.tar"],
    "timm": ["model.architecture=resnet18", "transfer=from_scratch"],
    "model/head/mlp": ["transfer=fine_tune"],
    "model/head/small_conv": ["transfer=fine_tune"],
    "model/head/cosine": ["transfer=fine_tune"],
    "transfer/head_init/neighbours": ["transfer.epochs=0", "transfer.average.trained_shares=[1.0]"],
    "as_built": ["transfer.average.trained_shares=[1.0]"],
    "sgd": ["transfer/rates=uniform"],
    "lamb": ["transfer/rates=uniform"],
    "by_name": ["transfer.optimiser.name=lion"],
    "from_group": ["transfer.trainable.first=2"],
    "matching": ["transfer.trainable.patterns=[blocks.6]"],
    "stochastic_normalisation": ["transfer=fine_tune", "transfer.batch_norm=trained"],
    "fsdp": ["transfer/average=last"],
    "local_file": ["transfer.start.path={folder}/weights.pth"],
    "recorded_run": ["transfer.start.run=" + "0" * 32],
}

# Groups of which a configuration holds several, each in a place of its own.
PLACES = {
    "transfer/penalty": "transfer/penalty@transfer.penalties.auxiliary",
    "tracking/recorder": "+tracking/recorder",
}


def options() -> list[tuple[str, str]]:
    files = sorted(CONF.glob("**/[!_]*.yaml"))
    pairs = [(str(file.parent.relative_to(CONF)), file.stem) for file in files]
    pairs = [(group, name) for group, name in pairs if not group.startswith("hydra")]
    return [(group, name) for group, name in pairs if group not in (".", "experiment")]


def _needs(group: str, name: str) -> list[str]:
    """By the name, or where several groups have it, by both."""
    return NEEDS.get(name, NEEDS.get(f"{group}/{name}", []))


# These look at a run that has ended; tests/transfer/ has one for each.
FROM_A_RUN = ("earlier_run", "two_hop", "distil")


@pytest.fixture(scope="module")
def folder(drawn_photos, tmp_path_factory):
    """Photos in every shape that an option asks for."""
    place = shutil.copytree(drawn_photos, tmp_path_factory.mktemp("options") / "photos")
    (place / "table.csv").write_text("image,label\ntrain/red/0.jpg,red\n")
    with tarfile.open(place / "shard.tar", "w") as shard:
        shard.add(place / "train", "train")
    (place / "weights.pth").touch()
    return place


@pytest.mark.parametrize(("group", "name"), [o for o in options() if o[1] not in FROM_A_RUN])
def test_option_builds(group, name, folder):
    needs = [line.format(folder=folder) for line in _needs(group, name)]
    if group == "model" and composed(f"model={name}")["model"]["weights"] is None:
        needs.append("transfer=from_scratch")
    chosen = PLACES.get(group, group)
    experiment = Experiment.from_params(composed(f"{chosen}={name}", *needs))
    if group in ("dataset", "model", "augmentation", "transfer", "trainer") and name != "timm":
        assert getattr(experiment, group).name == name
    if group == "selection":
        assert experiment.selection.method == name


@pytest.mark.parametrize("file", sorted(CONF.glob("experiment/*.yaml")), ids=lambda f: f.stem)
def test_named_experiment_builds_and_says_its_command_and_result(file):
    Experiment.from_params(composed(f"experiment={file.stem}"))
    text = file.read_text()
    assert "# @package _global_" in text
    header = [line for line in text.splitlines() if line.startswith("#")]
    assert any(f"experiment={file.stem}" in line for line in header)
    assert any("top-1" in line for line in header)


def test_params_yaml_is_what_conf_composes():
    params = yaml.safe_load((CONF.parent / "params.yaml").read_text())
    assert params == composed(), "run `make params`"


def test_building_an_experiment_imports_nothing_heavy():
    heavy = "torch timm pytorch_lightning albumentations mlflow sklearn openvino torchmetrics"
    code = f"""
import json, sys, yaml
from graftwork.experiment import Experiment
Experiment.from_params(yaml.safe_load(open("params.yaml")))
Experiment.from_params(json.loads(sys.argv[1]))
print(sorted(set("{heavy}".split()) & set(sys.modules)))
"""
    custom = json.dumps(composed("augmentation=custom"))
    command = [sys.executable, "-c", code, custom]
    said = subprocess.check_output(command, cwd=CONF.parent, text=True)
    assert said.strip() == "[]"


def test_every_key_of_conf_is_read(tiny_folder: Path):
    """A key that no component field takes is an error, so composing and building reads them all."""
    params = composed()
    assert set(params) == set(Experiment.__dataclass_fields__)


def keys_of(file: Path) -> set[str]:
    """Of a part, those of the one that it begins with included."""
    values = yaml.safe_load(file.read_text())
    bases = [
        base for base in values.pop("defaults", []) if isinstance(base, str) and base[0] != "_"
    ]
    return set(values).union(*(keys_of(file.with_name(f"{base}.yaml")) for base in bases))


@pytest.mark.parametrize("file", sorted(CONF.glob("transfer/*.yaml")), ids=lambda f: f.stem)
def test_a_strategy_says_of_its_parts_what_any_of_their_kind_has(file: Path) -> None:
    """Otherwise another part of that kind would be refused for a key that nobody typed."""
    for kind, said in yaml.safe_load(file.read_text()).items():
        if isinstance(said, dict) and kind != "penalties":
            parts = CONF.glob(f"transfer/{kind}/*.yaml")
            assert all(set(said) <= keys_of(part) for part in parts), f"{kind}: {said}"
