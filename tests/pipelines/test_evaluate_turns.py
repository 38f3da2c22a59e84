"""Who looks at the test, and when: a sweep at its end; of several processes one writes."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from evaluated_job import Recorded

from graftwork.evaluating import several_views
from graftwork.process import distributed
from pipelines import evaluate


def test_a_sweeps_job_leaves_the_test_to_the_winner(
    job: Callable[..., Any],
    recorded: Recorded,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    experiment, artifacts = job()
    artifacts.predictions.write_text("of an earlier job in this folder")
    monkeypatch.setenv(evaluate.TEST, "later")
    with monkeypatch.context() as patched:
        patched.setattr(several_views, "answering", lambda *_: pytest.fail("looked"))
        evaluate.run(experiment, artifacts)
    metrics = json.loads(artifacts.metrics.read_text())
    assert metrics["test"] == {} and "test" not in metrics["cost"]["images_per_second"]
    assert metrics["cost"]["parameters"] == 195 and recorded.cost == metrics["cost"]
    assert not artifacts.predictions.exists() and recorded.model is not None
    assert not any(name.startswith("test/") for name in recorded.metrics)
    assert (artifacts.plots / "calibration.svg").exists()  # of those held out
    assert "The test was not looked at." in (html := artifacts.report.read_text())
    assert "The last epoch." in html and "Held-out pictures by class" in html
    assert "the test was not looked at" in " ".join(capsys.readouterr().out.split())

    monkeypatch.delenv(evaluate.TEST)  # as the sweep's end does for the winner
    evaluate.run(experiment, artifacts)
    assert json.loads(artifacts.metrics.read_text())["test"]["top1"]["n"] == 15
    assert "test/top1" in recorded.metrics and artifacts.predictions.exists()
    assert "Where it errs" in artifacts.report.read_text()


@pytest.mark.parametrize("override", ["evaluation.test_in_sweeps=all", "selection=none"])
def test_where_nothing_is_chosen_every_test_is_looked_at(
    job: Callable[..., Any], recorded: Recorded, monkeypatch: pytest.MonkeyPatch, override: str
) -> None:
    monkeypatch.setenv(evaluate.TEST, "later")
    evaluate.run(*job(override))
    assert "test/top1" in recorded.metrics


def test_several_processes_only_where_the_network_runs(
    job: Callable[..., Any], recorded: Recorded, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []
    monkeypatch.setattr(distributed, "relaunched", lambda *args: asked.append(args) or True)
    experiment, artifacts = job("trainer.processes=2")
    evaluate.run(experiment, artifacts)
    assert asked == [(2, artifacts, "pipelines.evaluate", experiment.trainer.group_timeout)]
    assert not artifacts.metrics.exists()  # the new processes write


def test_only_the_first_process_writes(
    job: Callable[..., Any], recorded: Recorded, monkeypatch: pytest.MonkeyPatch
) -> None:
    experiment, artifacts = job("trainer.processes=2")
    monkeypatch.setattr(distributed, "relaunched", lambda *_: False)
    monkeypatch.setattr(distributed, "rank", lambda: 1)
    evaluate.run(experiment, artifacts)
    assert not artifacts.metrics.exists()
    assert not recorded.ended
