from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from stand_in_stages import SMALL, client, only, parent_status, table

from graftwork.config.errors import UserError
from graftwork.experiment import Experiment
from graftwork.storage.artifacts import Artifacts
from pipelines import experiment


def test_one_failing_job_leaves_the_others_alone(run, capsys):
    assert run("-m", *SMALL, "seed=13,14,2") == 1
    sweep = only("runs/*/*_sweep")
    rows = table(sweep)
    assert [(row["differs"], row["status"]) for row in rows] == [
        ("seed=2", "finished"), ("seed=13", "failed"), ("seed=14", "failed"),
    ]  # fmt: skip
    assert "this photo is bad" in rows[1]["error"] and rows[2]["error"] == "a bug in two lines"
    assert "failed: dataset.path: this photo is bad" in capsys.readouterr().out
    parent = client().get_run(json.loads((sweep / "run.json").read_text())["run_id"])
    assert parent.info.status == "FAILED"
    runs = client().search_runs([parent.info.experiment_id], order_by=["attributes.start_time"])
    assert sorted(run.info.status for run in runs) == ["FAILED", "FAILED", "FINISHED"]


def test_a_ranking_that_cannot_be_printed_is_on_disk_all_the_same(run, monkeypatch, capsys):
    def fail(rows, width):
        (sweep,) = Path.cwd().glob("runs/*/*_sweep")
        assert parent_status(sweep) == "FINISHED" and len(table(sweep)) == 2
        raise RuntimeError("no such \x1b[2J character")

    monkeypatch.setattr("pipelines.sweep.table", fail)
    assert run("-m", *SMALL, "seed=1,3") == 0
    sweep = only("runs/*/*_sweep")
    assert len(table(sweep)) == 2 and (sweep / "ranking.html").is_file()
    assert parent_status(sweep) == "FINISHED"
    printed = capsys.readouterr()
    said = printed.out + printed.err
    assert r"could not be shown: no such \x1b[2J character" in said and "\x1b" not in said


def test_a_sweep_that_cannot_be_drawn_has_its_numbers_and_an_end(run, monkeypatch, capsys):
    def fail(*_):
        raise RuntimeError("not to be drawn")

    monkeypatch.setattr("pipelines.sweep.accuracy_against_cost", fail)
    with pytest.raises(RuntimeError, match="not to be drawn"):
        run("-m", *SMALL, "seed=1,3")
    sweep = only("runs/*/*_sweep")
    assert len(table(sweep)) == 2 and parent_status(sweep) == "FAILED"
    assert "Ranking by top-1 on held-out pictures" in capsys.readouterr().out


def test_a_failing_jobs_message_is_no_escape_code(run, monkeypatch, capsys):
    def fail(settings: Experiment, artifacts: Artifacts) -> None:
        raise UserError("class '\x1b]0;owned\x07[/us]'")

    fail.__module__ = "pipelines.finetune"
    monkeypatch.setattr(experiment, "stages", lambda: [fail])
    assert run("-m", *SMALL, "seed=1,3") == 1
    printed = capsys.readouterr()
    said = printed.out + printed.err
    assert "\x1b" not in said and said.count(r"class '\x1b]0;owned\x07[/us]'") == 4


def test_a_killed_sweep_says_so(run):
    assert run("-m", *SMALL, "seed=2,15,3") == 143
    sweep = only("runs/*/*_sweep")
    rows = table(sweep)
    assert [(row["differs"], row["status"]) for row in rows] == [
        ("seed=2", "finished"), ("seed=15", "killed"), ("seed=3", "not begun"),
    ]  # fmt: skip
    assert parent_status(sweep) == "KILLED"
    assert rows[0]["test_top1_value"] == ""
    assert "cut short" in (sweep / "ranking.html").read_text()


def test_a_bug_keeps_its_traceback_and_fails_the_run(run):
    with pytest.raises(RuntimeError, match="a bug"):
        run(*SMALL, "seed=14")
    found = client().get_run(json.loads(only("runs/*/*/run.json").read_text())["run_id"])
    assert found.info.status == "FAILED" and "a bug" in found.data.tags["error"]


def test_a_mistake_found_on_the_way_is_one_message(run, capsys):
    Path("dvc.yaml").touch()
    assert run(*SMALL, "seed=13") == 2
    assert capsys.readouterr().err == "graftwork: dataset.path: this photo is bad\n"


def test_a_mistake_leaves_nothing_behind(run, capsys):
    assert run("-m", *SMALL, "seed=1,-1") == 2
    assert "seed: -1" in capsys.readouterr().err and os.listdir() == ["mlflow.db"]
