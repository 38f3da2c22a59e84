from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks import memory
from benchmarks.memory import MIB, Pair, Row
from benchmarks.workplace import parameters

PAIR = Pair(8, "fp32", ("model=tiny_cnn", "transfer=from_scratch"))
TUNED = Pair(8, "fp32", ("model=tiny_cnn", "transfer=from_scratch"), tuned=True)


def pretend(monkeypatch: pytest.MonkeyPatch, *forecasts: int) -> None:
    each = iter(forecasts)

    def row(pair: Pair, folder: Path) -> Row:
        return Row(pair, parameters(folder, *pair.overrides), 32, next(each) * MIB, 100 * MIB)

    monkeypatch.setattr(memory, "row", row)


def test_the_table_and_its_errors(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pretend(monkeypatch, 110, 80, 120)
    told = list(memory.forecast_against_measured(tmp_path, (TUNED, PAIR, PAIR)))
    assert "| tiny_cnn | from_scratch | 8 | 32 | fp32 | 110 | 100 | 1.10 | yes |" in told
    assert told[-2:] == [
        "chosen on 1 pairs: off by 10% on average, 10% at most",
        "tested on 2 pairs: off by 20% on average, 20% at most",
    ]


def test_a_forecast_far_off_ends_with_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pretend(monkeypatch, 60)
    with pytest.raises(SystemExit, match="beyond 30%: tiny_cnn"):
        list(memory.forecast_against_measured(tmp_path, (PAIR,)))
