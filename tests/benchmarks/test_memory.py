from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks import memory
from benchmarks.memory import MIB, Pair, Row
from benchmarks.workplace import parameters

PAIR = Pair(8, "fp32", ("model=tiny_cnn", "transfer=from_scratch"))


@pytest.fixture
def page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "memory.md"
    path.write_text(f"before\n{memory.BEGIN}\nold\n{memory.END}\nafter\n")
    monkeypatch.setattr(memory.write, "__defaults__", (path,))
    return path


def pretend(monkeypatch: pytest.MonkeyPatch, forecast: int) -> None:
    def row(pair: Pair, folder: Path) -> Row:
        return Row(pair, parameters(folder, *pair.overrides), 32, forecast * MIB, 100 * MIB)

    monkeypatch.setattr(memory, "row", row)


def test_the_table_goes_between_its_marks(
    page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pretend(monkeypatch, 110)
    told = list(memory.forecast_against_measured(tmp_path, (PAIR,)))
    assert told[-1] == "1 of 1 pairs within 15%"
    expected = "| tiny_cnn | from_scratch | 8 | 32 | fp32 | 110 | 100 | 1.10 | no |"
    text = page.read_text()
    assert text.startswith("before\n") and text.endswith("after\n") and "old" not in text
    assert expected in told and expected in text


def test_a_forecast_far_off_ends_with_an_error(
    page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pretend(monkeypatch, 80)
    with pytest.raises(SystemExit, match="beyond 15%: tiny_cnn"):
        list(memory.forecast_against_measured(tmp_path, (PAIR,)))
    assert "| 0.80 |" in page.read_text()
