"""A grid that ends in time: what comes next, by what is known; what is left goes on later."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from stand_in_stages import SMALL, STAGES, table
from tiny_transfer import draw_photos

from graftwork.config.errors import UserError
from pipelines import early_end, experiment
from pipelines.minutes import Candidate, Forecast, arguments_of, chosen, recorded

PROJECT = Path(__file__).parents[2]
FORECAST = Forecast([("small", 10, 10.0), ("large", 10, 100.0), ("small", 0, 1.0)])


def job(number: int, network: str = "small", epochs: int = 8, **scores: float) -> Candidate:
    told = {int(name[1:]): score for name, score in scores.items()}
    return Candidate(number, [], Path(), network, epochs, scores=told)


def order(candidates: list[Candidate], left: float, curve: dict[int, float]) -> list[str]:
    """What is done, where the score after an epoch is the curve's of a job, less for early ones."""
    said = []
    while left > 0 and (found := chosen(candidates, FORECAST, left)):
        next_one, until = found
        left -= FORECAST.seconds(next_one, until - next_one.done)
        said.append(f"{next_one.number}:{until}")
        next_one.scores[until] = curve[next_one.number] - 0.1 / (1 + until)
        next_one.over = until >= next_one.epochs
    return said


def test_heads_come_first_and_then_halves_of_what_has_come_so_far():
    candidates = [job(0), job(1), job(2), job(3), job(4, "small", 0), job(5, "large", 0)]
    curve = {0: 0.5, 1: 0.8, 2: 0.7, 3: 0.6, 4: 0.5, 5: 0.6}
    done = order(candidates, 1e6, curve)
    assert done[:2] == ["4:0", "5:0"]
    assert done[2:6] == ["0:2", "1:2", "1:4", "2:2"], "the better of two goes on at once"
    assert done[-1] in ("0:8", "3:8") and sum(":8" in each for each in done) == 4
    assert done.index("1:8") < min(done.index(f"{n}:8") for n in (0, 2, 3))


def test_new_ones_come_by_what_a_second_is_expected_to_bring():
    probes = [job(8, "small", 0, e0=0.3), job(9, "large", 0, e0=0.9)]
    for each in probes:
        each.over = True
    large, small = job(0, "large"), job(1, "small")
    assert chosen([large, small, *probes], FORECAST, 1e6) == (small, 2), "a third, ten times faster"
    probes[0].scores[0] = 0.05
    assert chosen([large, small, *probes], FORECAST, 1e6) == (large, 2)


def test_where_time_runs_out_the_best_is_brought_to_its_end():
    best, other = job(0, e2=0.8), job(1, e2=0.6)
    new = job(2)
    assert chosen([best, other, new], FORECAST, 100) == (best, 4)
    best.scores[4] = 0.8
    assert chosen([best, other, new], FORECAST, 100) == (new, 2)
    assert chosen([best, other, new], FORECAST, 5) == (best, 8)
    assert chosen([best, other, new], FORECAST, 0.1) == (best, 8), "kept when the time is up"
    for each in (best, other, new):
        each.over = True
    assert chosen([best, other, new], FORECAST, 100) is None


def test_a_network_that_nothing_is_known_of_takes_as_long_as_others():
    assert FORECAST.seconds(job(0, "new"), 2) == pytest.approx(11.0)
    assert FORECAST.seconds(job(0, "large"), 2) == pytest.approx(20.0)
    assert FORECAST.seconds(job(0, "large", 0), 0) == pytest.approx(1.0)
    assert Forecast([]).seconds(job(0), 2) == 0


@pytest.mark.parametrize(
    ("words", "seconds"), [("30min", "1800"), ("90s", "90"), ("1.5h", "5400"), ("2h", "7200")]
)
def test_the_word_of_the_command_line(words, seconds):
    found = arguments_of(["sweep=a", f"sweep.budget={words}", "seed=1,2"])
    assert found == ["sweep=a", "seed=1,2", "hydra/sweeper=minutes",
                     f"hydra.sweeper.seconds={seconds}"]  # fmt: skip
    assert arguments_of(["-m", "seed=1"]) == ["-m", "seed=1"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["sweep=a", "sweep.budget=soon"], "'soon' is no time"),
        (["sweep=a", "sweep.budget=0min"], "'0min' is no time"),
        (["-m", "sweep.budget=1min"], "Add sweep=NAME"),
        (["sweep=a", "sweep.budget=1h", "hydra/launcher=joblib"], "hydra/launcher out"),
        (["sweep=a", "sweep.budget=1h", "hydra/sweeper=optuna"], "hydra/sweeper and"),
    ],
)
def test_what_is_no_budget_is_refused(arguments, message):
    with pytest.raises(UserError, match="sweep.budget") as told:
        arguments_of(arguments)
    assert message in str(told.value)


def test_jobs_that_wait_are_listed_and_the_next_start_goes_on(run, monkeypatch):
    """The clock runs out within the second job."""
    clock = {"now": 0.0}

    def finetune(settings, artifacts):
        clock["now"] += 1
        if clock["now"] == 2:
            early_end.end(artifacts.root, early_end.STOPPED, "the minutes were over")
        STAGES[1](settings, artifacts)

    def end(pid, number):
        monkeypatch.setattr("pipelines.minutes.time.time", lambda: 1e12)
        sys.exit(128 + number)

    finetune.__module__ = "pipelines.finetune"
    monkeypatch.setattr(experiment, "stages", lambda: [STAGES[0], finetune, STAGES[2]])
    monkeypatch.setattr(early_end.os, "kill", end)
    for name in (early_end.ENDS, early_end.UNTIL):  # taken back by monkeypatch
        monkeypatch.setenv(name, "")
    command = ("sweep=short", *SMALL, "seed=1,2,3", "sweep.budget=1h")
    assert run(*command) == 0
    rows = {row["differs"]: row["status"] for row in table(Path("runs/short"))}
    assert rows == {"seed=1": "finished", "seed=2": "stopped", "seed=3": "not begun"}
    monkeypatch.setattr("pipelines.minutes.time.time", lambda: 0.0)
    assert run(*command) == 0
    assert {row["status"] for row in table(Path("runs/short"))} == {"finished"}
    assert clock["now"] == 4, "what is finished is not done again"


@pytest.mark.slow
def test_it_ends_within_a_tenth_and_comes_to_the_same_in_two_starts(tmp_path):
    photos = draw_photos(tmp_path / "photos")
    environment = {**os.environ, "PYTHONPATH": f"{PROJECT / 'src'}:{PROJECT}"}

    def started(name: str, *more: str) -> float:
        words = (
            *("model=tiny_cnn", "dataset=folder", f"dataset.path={photos}", "selection=random"),
            *("trainer.batch_size=8", "evaluation.engine=eager", "transfer/start=random"),
            *("evaluation.bootstrap_samples=100", "tracking.log_model=False", "seed=1,2,3"),
        )
        command = [sys.executable, "-m", "pipelines.experiment", f"sweep={name}", *words, *more]
        begun = time.monotonic()
        subprocess.run(command, cwd=tmp_path, env=environment, check=True, timeout=400)
        return time.monotonic() - begun

    grid = ("transfer=from_scratch,linear_probe",)
    assert 90 * 0.9 < started("short", *grid, "sweep.budget=90s", "transfer.least_steps=2000") < 99
    assert "stopped" in {row["status"] for row in table(tmp_path / "runs/short")}
    took = started("timed", *grid, "sweep.budget=40s")
    assert took < 44
    started("timed", *grid)
    started("whole", *grid)
    names = ("rank", "differs", "status", "selection_top1_value", "selection_log_loss")
    timed, whole = (
        [[row[name] for name in names] for row in table(tmp_path / f"runs/{sweep}")]
        for sweep in ("timed", "whole")
    )
    assert timed == whole
    assert {network for network, *_ in recorded(tmp_path / "runs")} == {"tiny_cnn"}
