"""Parts of a strategy in pairs: what excludes each other is refused with the reason, the rest runs.

Parts are found by their files, so that a new one is covered by itself. `make test` refuses what is
to be refused and trains the first rows of the covering array; all of them are slow.
"""

from __future__ import annotations

import dataclasses
import json
import re
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from conftest import CONF, composed
from covering import Pair, Row, covering
from tiny_experiment import tiny_experiment
from tiny_transfer import draw_photos, save_weights, transfer_params
from untrained_model import save_model

from graftwork.augmentations.base import Augmentation
from graftwork.config.components import build
from graftwork.config.errors import UserError
from graftwork.data import manifest
from graftwork.experiment import Experiment
from graftwork.features.feature_store import features_of
from graftwork.models.base import Head
from graftwork.models.batch_norm import MODES
from graftwork.models.pretrained import RUNS
from graftwork.selecting.held_out import held_out
from graftwork.storage.artifacts import Artifacts
from graftwork.training.ready import check_ready
from graftwork.training.transferring import finetune
from graftwork.transfer import parts
from pipelines.ahead import check_ahead

RUN = "0" * 32
# Values that an option cannot be without.
VALUES = {
    "trainable.from_group.first": "1",
    "trainable.matching.patterns": '["stages.1.*"]',
    "optimiser.by_name.name": "lion",
    "start.local_file.path": "{project}/weights.pth",
    "start.earlier_run.path": "{project}/run",
    "start.recorded_run.run": RUN,
    "penalty.distil.teacher": "{project}/run",
}
FOLDERS = {folder.name: folder for folder in sorted(CONF.glob("transfer/*")) if folder.is_dir()}
FOLDERS |= {"augmentation": CONF / "augmentation", "head": CONF / "model" / "head"}
OTHERS = {  # no files: settings that parts have to agree with
    "penalty": ["none"],
    "batch_norm": list(MODES),
    "epochs": ["0", "2"],
    "way": ["[1.0]", "[0.0, 0.5, 1.0]"],
    "prefix": ["live", "stored"],
    "passes": ["1", "2"],
}
FILES = {
    kind: [file.stem for file in sorted(folder.glob("[!_]*.yaml"))]
    for kind, folder in FOLDERS.items()
}
OPTIONS = {
    kind: [*FILES.get(kind, []), *OTHERS.get(kind, [])] for kind in sorted({*FILES, *OTHERS})
}
PLAIN = {
    "start": "registry", "head_init": "converged_probe", "adapter": "none", "trainable": "all",
    "rates": "uniform", "optimiser": "adamw", "schedule": "constant", "sampler": "shuffled",
    "objective": "cross_entropy", "penalty": "none", "average": "last", "augmentation": "none",
    "head": "linear", "batch_norm": "frozen", "epochs": "2", "way": "[1.0]", "prefix": "live",
    "passes": "1",
}  # fmt: skip
QUICK = 8  # rows that `make test` trains
REMEDY = re.compile(r"Legal: |Choose |Set |leave it out|Leave it out")


Parts = Mapping[str, Mapping[str, Any]]  # components by kind and option


@dataclasses.dataclass(frozen=True)
class Project:
    experiment: Experiment  # of the plain row
    artifacts: Artifacts
    parts: Parts
    looked: dict[tuple[str, str], str] = dataclasses.field(default_factory=dict)

    def of(self, row: Row) -> Experiment:
        """The experiment of a row; raises UserError where it is refused."""
        part = {kind: of.get(row[kind]) for kind, of in self.parts.items()}
        penalty = part.pop("penalty")
        augmentation, head = part.pop("augmentation"), part.pop("head")
        average = dataclasses.replace(part.pop("average"), trained_shares=json.loads(row["way"]))
        given = self.experiment
        transfer = dataclasses.replace(
            given.transfer, **part, average=average, batch_norm=row["batch_norm"],
            epochs=int(row["epochs"]), penalties={} if penalty is None else {"one": penalty},
        )  # fmt: skip
        return dataclasses.replace(
            given,
            transfer=transfer,
            augmentation=augmentation,
            model=dataclasses.replace(given.model, head=head),
            extraction=dataclasses.replace(given.extraction, prefix=row["prefix"]),
            trainer=dataclasses.replace(given.trainer, accumulate=int(row["passes"])),
        )

    def refused(self, row: Row) -> str:
        """Why; empty where it is not."""
        try:
            self.of(row)
        except UserError as error:
            return str(error)
        stored = row["prefix"] == "stored" and row["epochs"] != "0"
        return self._unsplittable(row["trainable"], row["batch_norm"]) if stored else ""

    def _unsplittable(self, trainable: str, batch_norm: str) -> str:
        """Why no frozen layers come first, as is seen before the first stage."""
        key = trainable, batch_norm
        if key not in self.looked:
            self.looked[key] = ""
            row = PLAIN | {"trainable": trainable, "batch_norm": batch_norm, "prefix": "stored"}
            try:
                check_ahead(self.of(row))
            except UserError as error:
                self.looked[key] = str(error)
        return self.looked[key]


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """Photos, weights, and the models of an earlier run."""
    place = tmp_path_factory.mktemp("pairs")
    draw_photos(place / "photos")
    save_weights(place / "weights.pth")
    settings = ("trainer=smoke", "trainer.limit_epochs=2", "trainer.limit_batches=1",
                "trainer.precision=fp32", "selection=random", "extraction.views=2")  # fmt: skip
    values = transfer_params(place / "photos", place / "weights.pth", *settings)
    experiment, artifacts = tiny_experiment(values, place / "project")
    save_model(experiment, artifacts)
    for run in (place / "run", artifacts.weights(experiment.model.name) / RUNS / RUN):
        shutil.copytree(artifacts.model, run)
    return Project(experiment, artifacts, built(place))


def built(place: Path) -> Parts:
    """Every part of every file, by one composition."""
    groups = {kind: str(folder.relative_to(CONF)) for kind, folder in FOLDERS.items()}
    overrides = [
        f"+{groups[kind]}@every.{kind}.{option}={option}"
        for kind in FILES
        for option in FILES[kind]
    ]
    values = {name: value.format(project=place) for name, value in VALUES.items()}
    overrides += [f"every.{name}={value}" for name, value in values.items()]
    every = composed(*overrides)["every"]
    kinds = {"augmentation": Augmentation, "head": Head}
    return {
        kind: {
            option: build(found, kinds.get(kind) or kind_of(kind), f"{kind}.{option}")
            for option, found in every[kind].items()
        }
        for kind in every
    }


def kind_of(folder: str) -> Any:
    """`head_init` to HeadInit."""
    return getattr(parts, "".join(word.capitalize() for word in folder.split("_")))


Covered = tuple[list[Row], dict[Pair, str]]


@pytest.fixture(scope="module")
def covered(project: Project) -> Covered:
    return covering(OPTIONS, project.refused, PLAIN)


def said_by(project: Project, row: Row) -> np.ndarray:
    """Of held-out pictures, by the strategy as the stage finetune runs it, without its record."""
    experiment, artifacts = project.of(row), project.artifacts
    check_ready(experiment, artifacts, ["blue", "green", "red"])

    def features(rows: pd.DataFrame) -> np.ndarray:
        return features_of(experiment, artifacts, rows)

    chooses = held_out(experiment, manifest.read(artifacts.manifest), 3, features)
    found = finetune(experiment, artifacts, chooses, None, 3, lambda *_: None)
    assert found.held_out is not None
    return found.held_out[1]


def test_what_excludes_each_other_is_refused_with_reason_and_remedy(
    covered: Covered,
) -> None:
    _, never = covered
    excluded = {frozenset(option for _, option in pair) for pair in never}
    assert {"small_conv", "lwf"} in excluded and {"low_rank", "stored"} in excluded
    assert {"low_rank", "ema"} not in excluded
    assert not [why for why in never.values() if not REMEDY.search(why)]


@pytest.mark.parametrize("at", range(QUICK))
def test_the_first_rows_run(at: int, project: Project, covered: Covered) -> None:
    assert np.isfinite(said_by(project, covered[0][at])).all()


@pytest.mark.slow
def test_all_other_rows_run(project: Project, covered: Covered) -> None:
    for row in covered[0][QUICK:]:
        try:
            said = said_by(project, row)
        except Exception as error:
            raise AssertionError(f"{row}: {error}") from error
        assert np.isfinite(said).all(), row
