from __future__ import annotations

import csv
import dataclasses
import json

import pytest

from graftwork.config.errors import UserError
from graftwork.pareto.candidates import Score
from graftwork.pareto.comparison import Comparison, comparison
from graftwork.pareto.frontier import Candidate, Measured
from graftwork.pareto.outputs import as_csv, as_json

TOP1 = Score("top1", "Top-1 accuracy", True, True, 0.95, "selection")
TEST = dataclasses.replace(TOP1, on="test")


def run(
    name: str,
    value: float,
    data: str = "aaaabbbbcccc",
    dataset: str = "fruit",
    method: str = "matched",
    test: Measured | None = None,
    **costs: float,
) -> Candidate:
    ends = value - 0.02, value + 0.02
    return Candidate(name, name, value, *ends, costs, dataset, data, 0, method, test)


RUNS = [
    run("small", 0.6, macs=1e8, parameters=3.0),
    run("large", 0.8, macs=4e9, parameters=3.0, test=Measured(0.7, 0.6, 0.8)),
    run("unprofiled", 0.7, parameters=3.0),
    run("elsewhere", 0.9, data="ddddeeee", dataset="birds", macs=1.0),
]


def compared(runs=RUNS, score=TOP1, words=(), data=None, unscored=0) -> Comparison:
    return comparison(runs, score, words, data, unscored)


def test_runs_on_other_pictures_are_named_not_compared():
    shown = compared()
    assert shown.title == "Top-1 accuracy on held-out pictures of fruit (data aaaabbbb)"
    assert [run.name for run in shown.runs] == ["large", "unprofiled", "small"]
    assert shown.sentences() == [
        "1 run of 3 without macs recorded: left out along it.",
        "No run has recorded: latency, energy, seconds.",
        "The same for all runs: parameters.",
        "1 run on birds (data ddddeeee) not compared: other data. Choose with --data ddddeeee.",
    ]
    for word in ("ddddeeee", "dd", "birds"):
        assert [run.name for run in compared(words=["macs"], data=word).runs] == ["elsewhere"]


def test_a_frontier_of_test_scores_says_that_it_chooses_on_test():
    shown = compared(score=TEST)
    assert shown.title == "Top-1 accuracy on fruit (test set aaaabbbb)"
    assert "other test pictures" in " ".join(shown.sentences())
    assert shown.cautions()[0].startswith("A frontier of test scores chooses on the test set")
    assert not any("chooses on the test" in words for words in compared().cautions())


def test_unequal_methods_and_runs_without_a_score_are_said():
    runs = [*RUNS[:3], run("val", 0.5, method="validation", macs=1.0)]
    said = compared(runs, unscored=2).sentences()
    assert "2 runs without a selection score: left out." in said
    assert any("different methods: matched (3), validation (1)" in words for words in said)


def test_the_luck_of_scores_and_of_test_scores_is_told():
    (of_selection,) = compared().cautions()  # one test score has no lead
    assert of_selection.startswith("Luck: of 3 equally good ones, the best selection score is")
    assert "0.9 points better" in of_selection  # 0.846 standard errors of 2 / 1.96 points
    tested = [dataclasses.replace(one, test=Measured(0.7, 0.6, 0.8)) for one in RUNS]
    assert "the best test score is expected 4.3 points" in compared(tested).cautions()[1]
    bare = [dataclasses.replace(one, low=None) for one in RUNS]
    assert compared(bare).cautions() == []


def test_what_cannot_be_compared_is_refused():
    with pytest.raises(UserError, match="nothing to compare"):
        compared([])
    with pytest.raises(UserError, match="--data: 'brids' is unknown. Did you mean"):
        compared(data="brids")
    with pytest.raises(UserError, match="none of 3 runs .* 'energy'. Recorded: macs, parameters"):
        compared(words=["macs", "energy"])
    with pytest.raises(UserError, match="Did you mean 'memory'"):
        compared(words=["memry"])
    with pytest.raises(UserError, match="Recorded: no cost"):
        compared([run("bare", 0.5)])


def test_a_named_cost_is_shown_though_all_are_equal():
    (axis, found), *rest = compared(words=["parameters", "parameters"]).along
    assert axis.word == "parameters" and not rest
    assert [run.name for run in found.members] == ["large"]


def test_files_hold_every_run():
    shown = compared(words=["macs", "parameters"])
    rows = list(csv.DictReader(as_csv(shown).splitlines()))
    assert [(row["name"], row["frontier"]) for row in rows] == [
        ("large", "macs parameters"), ("unprofiled", ""), ("small", "macs"),
    ]  # fmt: skip
    assert rows[0]["value"] == "0.8" and rows[0]["macs"] == "4000000000.0"
    assert rows[1]["macs"] == "" and rows[0]["metric"] == "top1" and rows[0]["on"] == "selection"
    assert (rows[0]["test_value"], rows[1]["test_value"]) == ("0.7", "")
    assert rows[0]["method"] == "matched"
    facts = json.loads(as_json(shown))
    assert facts["costs"]["macs"]["frontier"] == ["small", "large"]
    assert facts["costs"]["macs"]["left_out"] == ["unprofiled"]
    assert facts["runs"][0]["costs"] == {"macs": 4e9, "parameters": 3.0}
    assert facts["runs"][0]["test"] == {"value": 0.7, "low": 0.6, "high": 0.8}
    assert facts["runs"][1]["test"] is None
    assert facts["not_compared"] == [{"data": "ddddeeee", "runs": ["elsewhere"]}]
