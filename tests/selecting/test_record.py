from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from selection_records import record, without_parts

from graftwork.config.errors import UserError
from graftwork.selecting.record import Distances, GoneBack, SelectionRecord


@pytest.mark.parametrize("known", [record(), without_parts(method="none", held_out=0, folds=0)])
def test_what_is_written_is_read(tmp_path: Path, known: SelectionRecord) -> None:
    path = tmp_path / "reports" / "selection.json"
    known.write(path)
    assert SelectionRecord.read(path) == known


def test_the_names_are_those_of_the_file(tmp_path: Path) -> None:
    record(gone_back=[GoneBack(1, 23, 1.2, 0.09, 1.0)]).write(tmp_path / "selection.json")
    values = json.loads((tmp_path / "selection.json").read_text())
    assert list(values) == [
        "method", "why", "words", "held_out", "fitted", "folds", "distances", "clusters",
        "optimism", "shares", "gone_back", "ended_as_start",
    ]  # fmt: skip
    assert list(values["distances"]) == ["percentiles", "new", "held_out", "random"]
    assert values["clusters"][1] == {"count": 110, "wasserstein": 0.0097, "chosen": True}
    assert values["optimism"] == {"random_top1": 0.973, "top1": 0.858}
    point = {"share": 0.75, "top1": 0.873, "log_loss": 0.48, "chosen": True}
    assert values["shares"][1] == point
    went = {"attempt": 1, "step": 23, "loss": 1.2, "start_loss": 0.09, "factor": 1.0}
    assert values["gone_back"] == [went]


def test_a_loss_that_is_no_number_is_valid_json(tmp_path: Path) -> None:
    path = tmp_path / "selection.json"
    record(gone_back=[GoneBack(1, 3, float("nan"), 0.1, 1.0)]).write(path)
    assert "NaN" not in path.read_text()
    assert SelectionRecord.read(path).gone_back[0].loss is None


def test_texts_stay_as_they_are(tmp_path: Path) -> None:
    """Names of folders and columns stand in them: no interpolation, no escape."""
    path = tmp_path / "selection.json"
    record(why="the column ${oc.env:HOME} of C:\\photos").write(path)
    assert SelectionRecord.read(path).why == "the column ${oc.env:HOME} of C:\\photos"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"method": "matchd"}, "method: 'matchd' is unknown. Did you mean 'matched'"),
        ({"method": "auto"}, "method: 'auto' is unknown"),
        ({"held_out": -1}, "held_out: -1 is out of bounds"),
        ({"folds": 1.5}, "folds: 1.5 has the wrong type. Legal: a whole number"),
        ({"fitted": True}, "fitted: True has the wrong type"),
        ({"why": None}, "why: None has the wrong type. Legal: text"),
        ({"gone_back": None}, "gone_back: None has the wrong type. Legal: a list"),
        ({"clusters": [{"count": 3}]}, r"clusters\[0\].wasserstein: no value"),
        ({"clusters": [3]}, r"clusters\[0\]: 3 is no group of keys"),
        ({"optimism": {"random_top1": float("nan"), "top1": 1}}, "random_top1: nan has the wrong"),
        ({"optimism": {"random_top1": 10**400, "top1": 1}}, "not valid JSON"),
        ({"wordz": ""}, "wordz: 'wordz' is unknown. Did you mean 'words'"),
        (
            {"distances": {"percentiles": [0, 100], "new": [1], "held_out": [], "random": []}},
            "distances.new: 1 values. Legal: 2",
        ),
    ],
)
def test_damage_is_named(tmp_path: Path, changes: dict[str, Any], message: str) -> None:
    path = tmp_path / "selection.json"
    record().write(path)
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))
    with pytest.raises(UserError, match=f"selection.json: .*{message}") as caught:
        SelectionRecord.read(path)
    assert "Run the stage finetune again" in str(caught.value)


def test_no_file_and_no_json(tmp_path: Path) -> None:
    path = tmp_path / "selection.json"
    with pytest.raises(UserError, match="no such file. Run the stage finetune"):
        SelectionRecord.read(path)
    path.write_text("{")
    with pytest.raises(UserError, match="not valid JSON"):
        SelectionRecord.read(path)
    path.write_text("[]")
    with pytest.raises(UserError, match="the file: .* is no group of keys"):
        SelectionRecord.read(path)


def test_percentiles_are_percentiles() -> None:
    with pytest.raises(UserError, match="distances.percentiles: 101 is out of bounds"):
        Distances([0, 101], [], [], [])
