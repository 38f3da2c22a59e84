"""Tables whose text no spreadsheet takes for a formula."""

from __future__ import annotations

import csv
import re
from pathlib import Path

import pytest

from graftwork.storage import csv_tables
from graftwork.storage.csv_tables import as_csv, columns_of, harmless


@pytest.mark.parametrize(
    "cell",
    ["=1+1", "+cmd|' /C calc'!A0", "-2+3", "@SUM(A1)", "\t=1", "\r=1", "-", "- 5", "=", "+5 "],
)
def test_what_a_spreadsheet_would_compute_is_text(cell: str) -> None:
    assert harmless(cell) == f"'{cell}"


@pytest.mark.parametrize("cell", ["", "apple", "a=b", "-0.5", "+1e-3", "1", -0.5, 7, None, True])
def test_numbers_and_other_text_stay_as_they_are(cell: object) -> None:
    assert harmless(cell) == cell and type(harmless(cell)) is type(cell)


def test_every_text_cell_is_made_harmless(tmp_path: Path) -> None:
    rows = [{"name": "=HYPERLINK(1)", "score": -0.25}, {"name": "a,b", "more": "@x"}]
    csv_tables.write(tmp_path / "new" / "table.csv", columns_of(rows), rows)
    with (tmp_path / "new" / "table.csv").open(newline="", encoding="utf-8") as file:
        assert list(csv.reader(file)) == [
            ["name", "score", "more"], ["'=HYPERLINK(1)", "-0.25", ""], ["a,b", "", "'@x"],
        ]  # fmt: skip


def test_a_table_without_rows_has_its_header_and_no_unknown_column() -> None:
    assert as_csv(["a", "b"], []) == "a,b\n"
    with pytest.raises(ValueError, match="c"):
        as_csv(["a"], [{"a": 1, "c": 2}])


def test_no_other_module_writes_csv_by_itself() -> None:
    root = Path(__file__).parents[2]
    files = [path for room in ("src", "pipelines") for path in (root / room).rglob("*.py")]
    writes = re.compile(r"csv\.writer\(|DictWriter\(")
    writing = {path.stem for path in files if writes.search(path.read_text("utf-8"))}
    assert writing == {"csv_tables", "groceries"}  # the latter, a data set's own list
