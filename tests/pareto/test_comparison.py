from __future__ import annotations

import csv
import json

import pytest

from graftwork.errors import UserError
from graftwork.pareto.candidates import Score
from graftwork.pareto.comparison import as_csv, as_json, comparison
from graftwork.pareto.frontier import Candidate

TOP1 = Score("top1", "Top-1 accuracy", True, True, 0.95)


def run(
    name: str, value: float, data: str = "aaaabbbbcccc", dataset: str = "fruit", **costs: float
):
    return Candidate(name, name, value, value - 0.02, value + 0.02, costs, dataset, data, 0)


RUNS = [
    run("small", 0.6, macs=1e8, parameters=3.0),
    run("large", 0.8, macs=4e9, parameters=3.0),
    run("unprofiled", 0.7, parameters=3.0),
    run("elsewhere", 0.9, data="ddddeeee", dataset="birds", macs=1.0),
]


def test_runs_on_other_pictures_are_named_not_compared():
    shown = comparison(RUNS, TOP1, (), None)
    assert shown.title == "Top-1 accuracy on fruit (test set aaaabbbb)"
    assert [run.name for run in shown.runs] == ["large", "unprofiled", "small"]
    assert shown.sentences() == [
        "1 run of 3 without macs recorded: left out along it.",
        "No run has recorded: latency, energy, seconds.",
        "The same for all runs: parameters.",
        "1 run on birds (test set ddddeeee) not compared: other test pictures. "
        "Choose with --data ddddeeee.",
    ]
    for word in ("ddddeeee", "dd", "birds"):
        assert [run.name for run in comparison(RUNS, TOP1, ["macs"], word).runs] == ["elsewhere"]


def test_what_cannot_be_compared_is_refused():
    with pytest.raises(UserError, match="nothing to compare"):
        comparison([], TOP1, (), None)
    with pytest.raises(UserError, match="--data: 'brids' is unknown. Did you mean"):
        comparison(RUNS, TOP1, (), "brids")
    with pytest.raises(UserError, match="none of 3 runs .* 'energy'. Recorded: macs, parameters"):
        comparison(RUNS, TOP1, ["macs", "energy"], None)
    with pytest.raises(UserError, match="Did you mean 'memory'"):
        comparison(RUNS, TOP1, ["memry"], None)
    with pytest.raises(UserError, match="Recorded: no cost"):
        comparison([run("bare", 0.5)], TOP1, (), None)


def test_a_named_cost_is_shown_though_all_are_equal():
    (axis, compared), *rest = comparison(RUNS, TOP1, ["parameters", "parameters"], None).along
    assert axis.word == "parameters" and not rest
    assert [run.name for run in compared.members] == ["large"]


def test_files_hold_every_run():
    shown = comparison(RUNS, TOP1, ["macs", "parameters"], None)
    rows = list(csv.DictReader(as_csv(shown).splitlines()))
    assert [(row["name"], row["frontier"]) for row in rows] == [
        ("large", "macs parameters"), ("unprofiled", ""), ("small", "macs"),
    ]  # fmt: skip
    assert rows[0]["value"] == "0.8" and rows[0]["macs"] == "4000000000.0"
    assert rows[1]["macs"] == "" and rows[0]["metric"] == "top1"
    facts = json.loads(as_json(shown))
    assert facts["costs"]["macs"]["frontier"] == ["small", "large"]
    assert facts["costs"]["macs"]["left_out"] == ["unprofiled"]
    assert facts["runs"][0]["costs"] == {"macs": 4e9, "parameters": 3.0}
    assert facts["not_compared"] == [{"data": "ddddeeee", "runs": ["elsewhere"]}]
