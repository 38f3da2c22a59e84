"""Folders of finished jobs as the stages leave them, with numbers that somebody chose."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from graftwork.storage.files import write_json


def folder_of(
    place: Path,
    test: float,
    selected: float,
    shares: Sequence[tuple[float, bool]] | None = None,
    gone_back: int = 0,
    ended_as_start: bool = False,
) -> Path:
    metrics: dict[str, Any] = {
        "test": {"top1": {"value": test, "low": 0.1, "high": 0.9, "n": 661}},
        "selection": {"scores": {"top1": {"value": selected, "low": 0, "high": 1, "n": 50}}},
        "cost": {"seconds": {"prepare": 1.0, "finetune": 2.5}},
    }
    points = shares and [{"share": share, "chosen": chosen} for share, chosen in shares]
    backs = [{"attempt": number + 1} for number in range(gone_back)]
    found = {"shares": points, "gone_back": backs, "ended_as_start": ended_as_start}
    write_json(place / "reports/metrics.json", metrics)
    write_json(place / "reports/selection.json", found)
    return place
