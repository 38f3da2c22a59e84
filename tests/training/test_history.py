from __future__ import annotations

from pathlib import Path

from graftwork.training.history import write_history


def test_history_has_every_column_and_the_epoch_first(tmp_path: Path) -> None:
    path = tmp_path / "reports" / "history.csv"
    write_history([{"epoch": 0, "probe/strength": 0.5}, {"lr": 0.1, "epoch": 1}], path)
    assert path.read_text() == (
        "epoch,lr,probe/strength,train/loss,train/top1,val/loss,val/top1\n0,,0.5,,,,\n1,0.1,,,,,\n"
    )
