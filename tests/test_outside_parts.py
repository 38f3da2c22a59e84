"""Parts of a strategy from another package: one file and a YAML, nothing edited here."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import yaml
from forked_commands import ForkedCommands

from graftwork.model_folder import contents as model_folder
from graftwork.storage.artifacts import Artifacts

PROJECT = Path(__file__).parents[1]
PARTS = '''
from contextlib import contextmanager
from dataclasses import dataclass

from graftwork.transfer.bound.penalty import BoundPenalty
from graftwork.transfer.parts import Penalty, Trainable


class Drawn(BoundPenalty):
    def __init__(self, weight, classifier):
        super().__init__(weight)
        named = classifier.backbone.named_parameters()
        self.pairs = [(p, p.detach().clone()) for _, p in named]

    def forward(self, outputs, moment):
        return sum((p - start).square().sum() for p, start in self.pairs) / 2


@dataclass(frozen=True)
class L2SP(Penalty):
    """Towards the weights that training begins from (Li et al. 2018)."""

    weight: float

    @contextmanager
    def bound(self, classifier, objective, facts, at_hand):
        yield Drawn(self.weight, classifier)


@dataclass(frozen=True)
class HeadFirst(Trainable):
    def groups(self, names, moment):
        return [moment.epoch > 0] * len(names)
'''
DRIVER = """
import sys
from graftwork.storage.artifacts import Artifacts
from graftwork.experiment import Experiment
from pipelines import download, finetune, prepare

shared, *roots = sys.argv[1:]
for root in roots:
    artifacts = Artifacts.at(root, shared)
    experiment = Experiment.from_file(artifacts.params)
    for stage in (download, prepare, finetune):
        stage.run(experiment, artifacts)
"""
PENALTY = "# @package transfer.penalties.own_l2_sp\n_target_: outside_parts.L2SP\nweight: 0.01\n"


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An installed package that declares the entry point, and its folder of configurations."""
    place = tmp_path_factory.mktemp("outside")
    (place / "outside_parts.py").write_text(PARTS)
    (place / "outside_driver.py").write_text(DRIVER)
    info = place / "outside_parts-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: outside-parts\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[graftwork.components]\nparts = outside_parts\n")
    for kind, name, text in (
        ("penalty", "own_l2_sp", PENALTY),
        ("trainable", "head_first", "_target_: outside_parts.HeadFirst\n"),
    ):
        path = place / "conf" / "transfer" / kind / f"{name}.yaml"
        path.parent.mkdir(parents=True)
        path.write_text(text)
    return place


def test_a_penalty_from_outside_composes(package: Path, trainings: ForkedCommands) -> None:
    conf = ("--config-dir", str(package / "conf"))
    command = ["pipelines.experiment", *conf, "--cfg", "job", "+transfer/penalty=own_l2_sp"]
    done = trainings.run(command, PROJECT, [{"PYTHONPATH": str(package)}])
    assert done.returncode == 0, done.stderr
    composed = yaml.safe_load(done.stdout)["transfer"]["penalties"]["own_l2_sp"]
    assert composed == yaml.safe_load(PENALTY)


def test_two_processes_equal_one_across_an_unfreezing(
    package: Path,
    tiny_params: Callable[..., dict[str, Any]],
    tmp_path: Path,
    trainings: ForkedCommands,
) -> None:
    """With a penalty, of which nothing is felt while the backbone rests."""
    tensors, rows = [], []
    for processes in (1, 2):
        params = tiny_params(
            "tracking.log_model=false", "transfer.batch_norm=frozen", "transfer.epochs=2",
            "transfer.least_steps=0", "trainer.limit_batches=null", "trainer.limit_epochs=null",
            "trainer.precision=fp32", "trainer.batch_size=6", "selection=none",
            f"trainer.processes={processes}",
        )  # fmt: skip
        params["transfer"]["trainable"] = {"_target_": "outside_parts.HeadFirst"}
        params["transfer"]["penalties"]["own_l2_sp"] = yaml.safe_load(PENALTY)
        root = tmp_path / str(processes)
        root.mkdir()
        (root / "params.yaml").write_text(yaml.safe_dump(params))
    roots = [tmp_path / "1", tmp_path / "2"]
    # First that of two: they are forked from the driver, which has computed nothing then.
    driver = ["outside_driver", str(tmp_path), *map(str, reversed(roots))]
    done = trainings.run(driver, PROJECT, [{"PYTHONPATH": str(package)}])
    assert done.returncode == 0, done.stderr
    for artifacts in map(Artifacts.at, roots):
        contract = model_folder.read_contract(artifacts.model)
        tensors.append(model_folder.read_tensors(artifacts.model, contract))
        rows.append(pd.read_csv(artifacts.history))
    for name, tensor in tensors[0].items():
        np.testing.assert_allclose(tensors[1][name], tensor, atol=2e-4, err_msg=name)
    for found in rows:
        assert found["train/own_l2_sp_loss"].iloc[0] == 0 < found["train/own_l2_sp_loss"].iloc[1]
    moved = rows[0]["train/own_l2_sp_loss"].iloc[1]
    assert rows[1]["train/own_l2_sp_loss"].iloc[1] == pytest.approx(moved, rel=1e-2)
    assert contract.training["trainable_parameters"] == sum(
        tensor.size for name, tensor in tensors[0].items() if trained(name)
    )


def trained(name: str) -> bool:
    """BatchNorm is frozen, its statistics are no parameters."""
    return not any(part.startswith(("bn", "norm")) or "running" in part for part in name.split("."))
