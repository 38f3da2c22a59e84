"""The stages as DVC runs them, in a project of their own: a copy of this one with tiny data."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest
from cloned_project import TINY, cloned, probe_of, run
from conftest import COLOURS, draw_photo

from pipelines.composed_anew import dropped, told
from pipelines.params import write


@pytest.fixture
def project(tmp_path: Path, tiny_folder: Path) -> Path:
    """A repository as a newcomer clones it, set to the tiny folder of photos."""
    return cloned(tmp_path / "a project", *probe_of(tiny_folder))


@pytest.fixture(scope="module")
def left_alone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A repository in which no stage ever runs."""
    return cloned(tmp_path_factory.mktemp("mistakes") / "a project", *TINY[:3])


def photos(project: Path) -> int:
    return sum(json.loads((project / "data/report.json").read_text())["splits"].values())


def test_a_newcomers_way_through_dvc(project: Path, tiny_folder: Path) -> None:
    first = run(project, "dvc", "repro")
    assert first.count("Running stage") == 5
    assert "Top-1 accuracy" in first

    assert "Running stage" not in run(project, "dvc", "repro"), "nothing had changed"
    assert "Top-1 accuracy" in run(project, "graftwork", "results")

    # DVC composes conf/ anew for every experiment: what differs from its defaults is said again.
    again = [f"-S{override}" for override in probe_of(tiny_folder)]
    changed = run(project, "dvc", "exp", "run", *again, "-Sevaluation.bootstrap_samples=150")
    assert "Running stage 'evaluate'" in changed
    assert "Running stage 'finetune'" not in changed and "gone from it" not in changed
    shown = run(project, "dvc", "exp", "show", "--csv", "--no-pager")
    assert "150" in shown and "test.top1.value" in shown

    plots = run(project, "dvc", "plots", "show")
    assert "index.html" in plots

    draw_photo(tiny_folder / "train" / "red" / "new.jpg", COLOURS["red"], seed=999)
    before = photos(project)
    assert "Running stage 'prepare'" in run(project, "dvc", "repro", "prepare")
    assert photos(project) == before + 1


def test_what_composing_anew_drops_is_said(tmp_path: Path) -> None:
    write(tmp_path / "params.yaml", ["model=tiny_cnn", "transfer=from_scratch", "seed=7"])
    lost = dropped(tmp_path / "params.yaml", ["transfer=from_scratch", "seed=8"])
    assert lost["model.name"] == "tiny_cnn" and next(iter(lost)) == "model.name"
    assert lost["seed"] == "7" and "transfer.name" not in lost
    kept = ["model=tiny_cnn", "transfer=from_scratch", "seed=7"]
    assert dropped(tmp_path / "params.yaml", kept) == {}
    assert dropped(tmp_path / "absent.yaml", []) == {}
    assert "gone from it: model.name=tiny_cnn, " in told(lost) and told(lost).count("=") <= 4


# One that Hydra would tell in its own way, and one that it would take.
WRONG = [
    ("model=tiny_cn", "model: 'tiny_cn' is unknown. Did you mean 'tiny_cnn'?"),
    ("trainer.batch_size=0", "trainer.batch_size: 0"),
]


@pytest.mark.parametrize(("override", "words"), WRONG, ids=lambda item: item[:30])
def test_a_mistake_by_dvcs_door_ends_as_by_any_other(left_alone: Path, override, words) -> None:
    before = (left_alone / "params.yaml").read_text()
    arguments = ["dataset=folder", f"dataset.path={left_alone}", *TINY[:2], override]
    wrong = run(left_alone, "dvc", "exp", "run", *(f"-S{text}" for text in arguments), code=2)
    assert words in wrong and wrong.count("graftwork:") == 1
    assert "Traceback" not in wrong and "Running stage" not in wrong
    assert (left_alone / "params.yaml").read_text() == before
    git = ["git", "status", "--porcelain", "--untracked-files=no"]
    assert not subprocess.run(git, cwd=left_alone, capture_output=True, text=True).stdout.strip()
