from __future__ import annotations

import pytest

from graftwork.config.errors import UserError
from graftwork.pareto.candidates import SELECTION, candidates, score_of
from graftwork.pareto.frontier import Measured
from graftwork.recording.finished_runs import FinishedRun

PARAMS = {
    "model.name": "n",
    "dataset.name": "fruit",
    "evaluation.confidence": "0.9",
    "evaluation.metrics.top1._target_": "graftwork.metrics.accuracy.TopK",
    "evaluation.metrics.top1.k": "1",
    "evaluation.metrics.top1.higher_is_better": "true",
    "evaluation.metrics.log_loss._target_": "graftwork.metrics.log_loss.LogLoss",
    "evaluation.metrics.log_loss.higher_is_better": "false",
    "evaluation.metrics.own.higher_is_better": "false",
}


def finished(run_id: str = "r", started: int = 1, tags=None, **metrics: float) -> FinishedRun:
    named = {key.replace("__", "/"): value for key, value in metrics.items()}
    return FinishedRun(run_id, started, PARAMS, named, tags or {})


def test_a_metric_is_read_as_its_run_defines_it():
    names = ("top1", "log_loss", "own")
    runs = [finished(**{f"test__{name}{end}": 0.5 for name in names for end in ("", "_low")})]
    top1 = score_of("top1", runs, "test")
    assert (top1.label, top1.is_share, top1.higher_is_better) == ("Top-1 accuracy", True, True)
    assert top1.confidence == 0.9 and top1.title == "Top-1 accuracy, test, %"
    loss = score_of("log_loss", runs, "test")
    assert not loss.is_share and not loss.higher_is_better and loss.shown(0.51234) == "0.512"
    own = score_of("own", runs, "test")  # its class was not recorded; its direction was
    assert own.label == "own" and not own.higher_is_better


def test_an_unknown_metric_is_refused_with_the_nearest():
    runs = [finished(test__top1=0.8, test__top1_low=0.7, test__macro_f1=0.5, cost__macs=1)]
    with pytest.raises(
        UserError, match="--metric: 'top2' is unknown. Did you mean 'top1'"
    ) as error:
        score_of("top2", runs, "test")
    assert "top1_low" not in str(error.value) and "macs" not in str(error.value)


def test_test_scores_take_no_selection_scores_place():
    runs = [finished(test__top1=0.8, cost__macs=1)]
    with pytest.raises(UserError, match="no finished run has a selection score.*--on test"):
        score_of("top1", runs, "selection")
    assert candidates(runs, "top1", "selection") == []
    runs.append(finished(selection__macro_f1=0.5))
    with pytest.raises(UserError, match="--metric: 'top1' is unknown. Did you mean 'macro_f1'"):
        score_of("top1", runs, "selection")


def test_scores_intervals_costs_and_data():
    runs = [
        finished("old", 1, {"data.digest": "all"}, test__top1=0.7, test__top1_low=0.6),
        finished("new", 2, {"data.digest": "all", "data.test_digest": "test"}, test__top1=0.8,
                 test__top1_low=0.75, test__top1_high=0.85, cost__parameters=5.0),
        finished("failed to score", 3, test__top1=float("nan")),
        finished("curve", 4, test__top1=0.9),
        finished("other", 5),
    ]  # fmt: skip
    new, old = candidates(runs, "top1", "test")
    assert (new.run_id, new.value, new.low, new.high) == ("new", 0.8, 0.75, 0.85)
    assert new.costs == {"parameters": 5.0} and new.dataset == "fruit"
    assert old.high is None and old.costs == {}
    assert new.data == old.data == "test"  # the same data, recorded before the test set was


def test_a_selection_score_is_of_all_data_and_test_stands_beside():
    tags = {"data.digest": "all", "data.test_digest": "test", "selection.method": "matched"}
    runs = [
        finished(
            "a",
            1,
            tags,
            selection__top1=0.9,
            selection__top1_low=0.8,
            test__top1=0.7,
            test__top1_low=0.6,
            test__top1_high=0.8,
        ),
        finished("b", 2, tags, selection__top1=0.6, test__top1=0.1),  # of watch_test's curve
    ]
    b, a = candidates(runs, "top1", "selection")
    assert (a.value, a.low, a.high, a.data, a.method) == (0.9, 0.8, None, "all", "matched")
    assert a.test == Measured(0.7, 0.6, 0.8) and b.test is None


def test_a_run_of_a_busy_machine_says_which_costs_are_doubtful() -> None:
    runs = [
        finished("a", 2, {"cost.disturbed": "true"}, selection__top1=0.5, cost__latency_ms=9.0),
        finished("b", 1, {"cost.disturbed": "false"}, selection__top1=0.5, cost__latency_ms=8.0),
    ]
    busy, quiet = candidates(runs, "top1", SELECTION)
    assert busy.doubtful == {"latency", "energy"} and not quiet.doubtful
