from __future__ import annotations

from pathlib import Path

import pytest

from graftwork.training.history import Row, kept_first, write_history


def test_history_has_every_column_and_the_epoch_first(tmp_path: Path) -> None:
    path = tmp_path / "reports" / "history.csv"
    write_history([{"epoch": 0, "probe/strength": 0.5}, {"lr": 0.1, "epoch": 1}], path)
    assert path.read_text() == (
        "epoch,lr,probe/strength,train/loss,train/top1,val/loss,val/top1\n0,,0.5,,,,\n1,0.1,,,,,\n"
    )


def test_curves_stand_before_anybody_is_told(tmp_path: Path) -> None:
    path, seen = tmp_path / "history.csv", list[str]()

    def told(row: Row, epoch: int) -> None:
        seen.append(path.read_text())
        if epoch == 2:
            raise OSError("a recorder that fails")

    tell = kept_first(path, told)
    tell({"val/top1": 0.5}, 1)
    with pytest.raises(OSError):
        tell({"val/top1": 0.75}, 2)
    assert [text.split()[1:] for text in seen] == [["1,,,,0.5"], ["1,,,,0.5", "2,,,,0.75"]]
