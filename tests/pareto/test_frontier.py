from __future__ import annotations

import random

import pytest

from graftwork.pareto.frontier import Candidate, apart, by_data, compare, frontier


def candidate(name: str, value: float, *, data: str = "d", started: int = 0, **costs: float):
    return Candidate(
        name, name, value, value - 0.1, value + 0.1, costs, "fruit", data, started, "", None
    )


def test_what_nothing_beats_at_its_price():
    points = [(3.0, 0.9), (1.0, 0.5), (2.0, 0.4), (2.0, 0.8), (4.0, 0.9), (5.0, 0.95)]
    assert frontier(points, higher_is_better=True) == [1, 3, 0, 5]


def test_where_less_is_better():
    points = [(1.0, 0.5), (2.0, 0.6), (3.0, 0.4)]
    assert frontier(points, higher_is_better=False) == [0, 2]


def test_equal_points_all_stay_and_ties_in_one_go():
    points = [(1.0, 0.5), (1.0, 0.5), (1.0, 0.4), (2.0, 0.5)]
    assert frontier(points, higher_is_better=True) == [0, 1]
    assert frontier([], higher_is_better=True) == []


@pytest.mark.parametrize("higher", [True, False])
def test_the_definition_holds_on_random_points(higher: bool):
    source = random.Random(3)
    points = [(source.randrange(8) / 1.0, source.randrange(8) / 8) for _ in range(60)]
    sign = 1 if higher else -1

    def dominated(a: tuple[float, float]) -> bool:
        return any(
            c <= a[0] and sign * s >= sign * a[1] and (c, s) != a for c, s in points
        )  # fmt: skip

    expected = {index for index, point in enumerate(points) if not dominated(point)}
    found = frontier(points, higher_is_better=higher)
    assert set(found) == expected
    assert [points[i][0] for i in found] == sorted(points[i][0] for i in found)


def test_runs_without_a_cost_are_left_out_and_rivals_named():
    runs = [
        candidate("small", 0.5, macs=1.0),
        candidate("large", 0.8, macs=9.0),
        candidate("poor", 0.7, macs=10.0),
        candidate("wasteful", 0.4, macs=5.0),
        candidate("unknown", 0.99),
    ]
    found = compare(runs, "macs", higher_is_better=True)
    assert [run.name for run in found.members] == ["small", "large"]
    assert [run.name for run in found.missing] == ["unknown"]
    rivals = {run.name: found.rival(run) for run in runs}
    assert rivals["poor"] is runs[1] and rivals["wasteful"] is runs[0]
    assert rivals["small"] is None


def test_scores_are_apart_when_their_intervals_are():
    assert apart(candidate("a", 0.5), candidate("b", 0.71))
    assert not apart(candidate("a", 0.5), candidate("b", 0.69))
    bare = Candidate("c", "c", 0.5, None, None, {}, "fruit", "d", 0, "", None)
    assert not apart(bare, candidate("a", 0.5)) and apart(bare, candidate("a", 0.51))


def test_test_sets_are_kept_apart():
    runs = [
        candidate("a", 0.5, data="x", started=1),
        candidate("b", 0.5, data="y", started=2),
        candidate("c", 0.5, data="z", started=9),
        candidate("d", 0.5, data="x", started=3),
    ]
    assert [[run.name for run in group] for group in by_data(runs)] == [["a", "d"], ["c"], ["b"]]
