"""No choice looks at a label of the test: with other labels there, everything is chosen alike."""

from __future__ import annotations

import csv
import hashlib
import json
import logging
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from tiny_experiment import local_weights
from tiny_transfer import PHOTOS, draw_photos, save_weights

from graftwork.model_folder import contents as model_folder
from graftwork.pareto.command import compared_runs
from graftwork.selecting.expected import EXPECTED
from graftwork.storage.artifacts import Artifacts
from pipelines import experiment, sweepers
from pipelines.overrides import quoted

Sweeps = tuple[dict[str, Any], dict[str, Any]]
TENSORS = {model_folder.BACKBONE, model_folder.HEAD}
# `auto` finds too few validation pictures to choose by, and matches distances.
SWEEP = [
    "-m", "transfer=linear_probe,lp_ft", "selection=auto,validation", "model=tiny_cnn",
    "selection.min_expected=1",
    "dataset=folder", "augmentation=none", "trainer.batch_size=8", "trainer.limit_epochs=4",
    "transfer/rates=relative_step", "transfer.rates.step=0.01", "transfer/average=best",
    "trainer.refit=never", "trainer.watch_test=true", "extraction.engine=torch",
    "extraction.precision=fp32", "tracking.log_model=false",
    "evaluation.test_in_sweeps=all", "evaluation.bootstrap_samples=100", "evaluation.engine=eager",
]  # fmt: skip
OF_TEST = ("test_", "seconds", "peak_mib", "run_id", "data")  # columns of a ranking, by beginnings
JOBS = 4


@pytest.fixture(scope="module")
def sweeps(tmp_path_factory: pytest.TempPathFactory) -> Sweeps:
    """What a sweep led to, and the same one after the test's photos have changed classes."""
    place = tmp_path_factory.mktemp("sweeps")
    draw_photos(place / "photos", {**PHOTOS, "test": 20}, spread=80.0)
    save_weights(place / "weights.pth")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(place)
        before = swept("before", patch)
        permute(place / "photos/test")
        after = swept("after", patch)
    return before, after


def permute(test: Path) -> None:
    """Deals the photos to the classes anew, as many to each."""
    photos = sorted(test.rglob("*.jpg"))
    folders = np.random.default_rng(0).permutation([str(photo.parent) for photo in photos])
    for number, (photo, folder) in enumerate(zip(photos, folders, strict=True)):
        photo.rename(Path(folder) / f"dealt_{number}.jpg")


def swept(name: str, patch: pytest.MonkeyPatch) -> dict[str, Any]:
    """Everything that the sweep chose, and what it measured on the test."""
    handed: list[float] = []
    real = sweepers.handed

    def noted(*given: Any) -> float:
        handed.append(real(*given))
        return handed[-1]

    folder = Path("runs", name).absolute()
    places = {"dataset.path": Path("photos").absolute(), "hydra.sweep.dir": folder}
    given = [f"{key}={quoted(str(path))}" for key, path in places.items()]
    given += [f"tracking.experiment={name}", f"model.weights={as_override(weights())}"]
    handlers = logging.root.handlers[:]
    with patch.context() as inner, pytest.raises(SystemExit) as ended:
        inner.setattr(sweepers, "handed", noted)
        inner.setattr("signal.signal", lambda *_: None)
        inner.setattr(sys, "argv", ["experiment", *SWEEP, *given])
        experiment.main()
    for handler in {*logging.root.handlers} - {*handlers}:
        handler.close()
    logging.root.handlers = handlers
    assert ended.value.code == 0
    shown = compared_runs(Path.cwd(), "top1", ["parameters"], None, name, None, "selection")
    return {
        "handed": handed,
        "ranking": list(csv.DictReader((folder / "ranking.csv").read_text().splitlines())),
        "jobs": [Artifacts.at(folder / str(number)) for number in range(JOBS)],
        "pareto": [(run.name, run.value, run.low, shown.on_frontier(run)) for run in shown.runs],
    }


def weights() -> dict[str, Any]:
    return local_weights(Path("weights.pth").absolute())


def as_override(value: Any) -> str:
    """In Hydra's grammar."""
    if isinstance(value, dict):
        return "{" + ",".join(f"{key}:{as_override(inner)}" for key, inner in value.items()) + "}"
    return quoted(value) if isinstance(value, str) else str(value)


def chosen(job: Artifacts) -> dict[str, Any]:
    """All that an experiment leaves but what it measured on the test, and what it cost."""
    metrics = json.loads(job.metrics.read_text())
    start = metrics["start"] or {"difference": {}}
    contract = model_folder.read_contract(job.model)
    files = [job.held_out, job.start, *(job.model / name for name in TENSORS)]
    return {
        "selection.json": json.loads(job.selection.read_text()),
        "scores": metrics["selection"],
        "start": [start.get("selection"), start["difference"].get("selection")],
        "training": contract.training,  # penalty, kept epoch, trained share
        "curves": without(list(csv.DictReader(job.history.read_text().splitlines())), "test/"),
        "files": {path.name: hashlib.sha256(path.read_bytes()).hexdigest()
                  for path in files if path.is_file()},
    }  # fmt: skip


def without(rows: list[dict[str, str]], *beginnings: str) -> list[dict[str, str]]:
    return [{k: v for k, v in row.items() if not k.startswith(beginnings)} for row in rows]


def test_every_experiment_chooses_alike(sweeps: Sweeps) -> None:
    before, after = sweeps
    for one, other in zip(before["jobs"], after["jobs"], strict=True):
        assert chosen(one) == chosen(other)
    found = [chosen(job) for job in before["jobs"]]
    told = [EXPECTED in job["scores"]["scores"] for job in found]
    assert told == [True, False] * 2  # what to expect of the test pictures, by no label of them
    assert [job["selection.json"]["method"] for job in found] == ["matched", "validation"] * 2
    assert [len(job["curves"]) for job in found] == [1, 1, 5, 5]
    assert all(job["files"].keys() >= TENSORS for job in found)


def test_the_order_and_the_scores_that_a_sweeper_gets_stay(sweeps: Sweeps) -> None:
    before, after = sweeps
    assert without(before["ranking"], *OF_TEST) == without(after["ranking"], *OF_TEST)
    assert before["handed"] == after["handed"] and len(before["handed"]) == JOBS
    assert before["pareto"] == after["pareto"] and len(before["pareto"]) == JOBS
    assert len({score for score in before["handed"]}) > 1  # there is something to choose


def test_by_the_test_another_experiment_and_another_epoch_would_have_been_chosen(
    sweeps: Sweeps,
) -> None:
    """Which one would have been, its labels decide: both tests above could have failed."""
    tests = [[float(row["test_top1_value"]) for row in sweep["ranking"]] for sweep in sweeps]
    assert min(tests[0]) > 0.6 > 0.5 > max(tests[1])
    falling = [sorted(found, reverse=True) for found in tests]
    assert tests[0] != falling[0] or tests[1] != falling[1]
    epochs = [[_best_by_test(job) for job in sweep["jobs"][2:]] for sweep in sweeps]
    assert epochs[0] != epochs[1]


def _best_by_test(job: Artifacts) -> int:
    rows = csv.DictReader(job.history.read_text().splitlines())
    return int(max(rows, key=lambda row: float(row["test/top1"] or 0))["epoch"])


def test_new_pictures_are_asked_of_what_chose(sweeps: Sweeps) -> None:
    """Nothing is trained on with held-out pictures here: what chose is what is kept."""
    asked = [job for job in sweeps[0]["jobs"] if job.new.is_file()]
    assert len(asked) == 2
    for job in asked:
        new, tested = (
            pd.read_parquet(path).set_index("sha256") for path in (job.new, job.predictions)
        )
        assert "class" not in new and len(new) == len(tested)
        for sha256, row in new.iterrows():
            np.testing.assert_allclose(
                row["probabilities"], tested.loc[sha256, "probabilities"], atol=1e-6
            )
