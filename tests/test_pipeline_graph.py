"""dvc.yaml watches the code that its stages run, and no more than that."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml
from stage_code import PROJECT, SOURCE, files_run_by

GRAPH = yaml.safe_load((PROJECT / "dvc.yaml").read_text())["stages"]
# What says how things run, show or are recorded changes no result, and must not train again.
ONLOOKERS = ["config", "process", "recorders", "recording", "serving", "metrics/on_torch"]
# Components are named by the configuration, not imported.
CHOSEN = {
    "download": ["data/datasets", "data/sources"],
    "prepare": ["data/datasets"],
    "extract_features": [
        *("models", "model_folder"),  # weights may be those of an earlier run's folder
        *("transfer/starts.py", "transfer/earlier_runs.py"),
    ],
    "finetune": ["models", "augmentations", "transfer"],
    "evaluate": ["models", "metrics"],
}


def within(file: Path, roots: list[str], base: Path) -> bool:
    return any(file.is_relative_to(base / root) for root in roots)


def watched(stage: str) -> list[str]:
    return [dep for dep in GRAPH[stage]["deps"] if dep.startswith("src/")]


@pytest.mark.parametrize("stage", GRAPH)
def test_every_file_that_a_stage_runs_is_watched(stage):
    # An __init__.py runs with any module of its package, and is empty or says what it offers.
    run = {file for file in files_run_by(stage) if file.name != "__init__.py"}
    # Places of pinned files are part of the parameters; the code that fetched them has done so.
    passed_over = [*ONLOOKERS, *([] if stage == "download" else ["data/sources"])]
    needed = {file for file in run if not within(file, passed_over, SOURCE / "graftwork")}
    unwatched = {str(f) for f in needed if not within(f, watched(stage), PROJECT)}
    assert not unwatched


@pytest.mark.parametrize("stage", GRAPH)
def test_nothing_else_is_watched(stage):
    run = files_run_by(stage)
    chosen = [f"src/graftwork/{package}" for package in CHOSEN[stage]]
    idle = [
        dep
        for dep in watched(stage)
        if dep not in chosen and not any(file.is_relative_to(PROJECT / dep) for file in run)
    ]
    assert not idle


@pytest.mark.parametrize("stage", GRAPH)
def test_what_components_are_chosen_from_is_watched(stage):
    assert {f"src/graftwork/{package}" for package in CHOSEN[stage]} <= set(watched(stage))


def test_a_new_metric_trains_nothing_again():
    """Choosing looks at the log loss, and at no other metric."""
    seen = {dep for dep in watched("finetune") if dep.startswith("src/graftwork/metrics")}
    names = ("base", "log_loss", "softmax")
    assert seen == {f"src/graftwork/metrics/{name}.py" for name in names}
    assert "evaluation" not in GRAPH["finetune"]["params"]


def test_another_place_of_the_records_trains_nothing_again():
    assert "tracking" not in GRAPH["finetune"]["params"]


@pytest.mark.parametrize("stage", ["extract_features", "finetune", "evaluate"])
def test_another_way_of_choosing_is_noticed(stage):
    assert "selection" in GRAPH[stage]["params"]


def test_what_chose_is_handed_from_training_to_evaluation():
    chose = {"reports/selection", "reports/selection.json"}
    assert chose <= set(GRAPH["finetune"]["outs"]) and chose <= set(GRAPH["evaluate"]["deps"])


@pytest.mark.parametrize("stage", GRAPH)
def test_every_watched_file_of_the_project_exists(stage):
    own = [dep for dep in GRAPH[stage]["deps"] if dep.startswith(("src/", "pipelines/"))]
    assert own and all((PROJECT / dep).exists() for dep in own)


def test_what_runs_make_is_ignored_by_git_and_removed_by_make_clean():
    made, tools = (PROJECT / ".gitignore").read_text().split("# what tools make")
    names = {line.strip("/") for line in made.splitlines() if line.startswith("/")}
    assert {"runs", "dvc_plots"} <= names and "dvc_plots" not in tools
    (recipe,) = re.findall(r"^\trm -rf (.*)", (PROJECT / "Makefile").read_text(), re.MULTILINE)
    assert names <= set(recipe.split())
