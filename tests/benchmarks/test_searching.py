"""Searches on a table that is made up: what they cost, and when they know one near the best."""

from __future__ import annotations

import json

import pytest

from benchmarks import searching
from benchmarks.searching import Known, grid, needed
from pipelines.search_space import Space


@pytest.fixture
def table(monkeypatch: pytest.MonkeyPatch) -> dict[frozenset[str], Known]:
    """The larger the step and the later the strategy in the list, the better, and all by epochs."""
    monkeypatch.setattr(searching, "HEADS", ("linear_probe",))
    monkeypatch.setattr(searching, "TRAINED", ("lp_ft",))
    monkeypatch.setattr(searching, "STEPS", ("0.01", "0.03"))
    monkeypatch.setattr("pipelines.optuna_sweeper.PATIENCE", 8)
    found = {}
    for job in grid():
        own = dict(job.own)
        good = 0.5 + 0.1 * (own["model"] == searching.NETWORKS[1])
        good += 0.05 * ([*searching.HEADS, *searching.TRAINED].index(own["transfer"]))
        good += 0.02 * float(own.get("transfer.rates.step", "0"))
        lines = frozenset(f"{key}={value}" for key, value in job.own)
        curve = {epoch: good - 0.2 / (1 + epoch) for epoch in range(4 if len(own) > 2 else 1)}
        found[lines] = Known(good, curve, 1.0, 10.0 * len(curve), 2.0)
    return found


def test_the_space_is_the_grid(table, tmp_path):
    (tmp_path / "space.yaml").write_text(json.dumps(searching.space()))
    said = {line for own in Space.of(str(tmp_path / "space.yaml"), {}).examples() for line in own}
    assert said == {line for own in table for line in own} and len(table) == len(grid()) == 6


def test_a_job_that_is_ended_costs_its_epochs(table):
    trained = next(job for job in table.values() if len(job.curve) == 4)
    assert [trained.seconds(epoch) for epoch in (0, 1, 3)] == [11, 21, 41]
    assert trained.seconds() == 43


def test_the_share_of_the_seconds_until_one_near_the_best_is_known(table):
    assert 0 < needed(table, "tpe", "median", 0) <= 1
    alike = {key: Known(0.5, {0: 0.5}, 0.0, 1.0, 0.0) for key in table}
    assert needed(alike, "random", "nop", 0) == pytest.approx(1 / 6), "the first will do"
