"""reports/audit: what was to be trained, layer group by layer group, and how far each one moved.

The one home of its names: the stage finetune writes it, evaluation and reports read it.
"""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from graftwork.storage import csv_tables
from graftwork.storage.files import write_json

RECORD, TABLE = "audit.json", "groups.csv"


@dataclass(frozen=True)
class Span:
    """A stretch of epochs in which the same number of a group's parameters is trained."""

    first: int  # epochs, from 1
    last: int
    trained: int  # parameters


@dataclass(frozen=True)
class Group:
    """A layer group, or the head."""

    name: str
    parameters: int
    spans: list[Span]  # in order; epochs in which nothing of it is trained are left out
    lowest_rate: float | None  # peak learning rates of its tensors that are ever trained
    highest_rate: float | None
    weight_decay: float | None  # of those that decay
    batch_norm: str  # one of graftwork.models.batch_norm.MODES; empty: it has none
    moved: float | None  # L2 norm of the parameters' change, relative to theirs; None: unknown
    statistics_moved: float | None  # likewise of BatchNorm's statistics; None: it has none

    @property
    def trained(self) -> int:
        """The most parameters that are trained at once."""
        return max((span.trained for span in self.spans), default=0)


@dataclass(frozen=True)
class Audit:
    """What a strategy trained. Groups are empty where no network was trained."""

    batch_norm: str  # the strategy's
    groups: list[Group]  # from the stem to the head
    notes: list[str]
    warnings: list[str]

    @classmethod
    def of_nothing(cls, batch_norm: str) -> Audit:
        """No network was trained: the backbone is what it was."""
        return cls(batch_norm, [], [], [])

    @property
    def moved(self) -> dict[str, float]:
        """Numbers to be recorded by name: `moved/<group>`, `statistics_moved/<group>`."""
        pairs = [(f"moved/{group.name}", group.moved) for group in self.groups]
        pairs += [(f"statistics_moved/{g.name}", g.statistics_moved) for g in self.groups]
        return {name: value for name, value in pairs if value is not None}

    def write(self, folder: Path) -> None:
        """The record as JSON, and its groups as a table."""
        folder.mkdir(parents=True, exist_ok=True)
        write_json(folder / RECORD, dataclasses.asdict(self))
        csv_tables.write(folder / TABLE, list(_row(_EMPTY)), map(_row, self.groups))

    @classmethod
    def read(cls, folder: Path) -> Audit | None:
        """What `write` wrote; None where there is none."""
        path = folder / RECORD
        if not path.is_file():
            return None
        values: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        groups = [
            Group(**{**group, "spans": [Span(**span) for span in group["spans"]]})
            for group in values.pop("groups")
        ]
        return cls(groups=groups, **values)


_EMPTY = Group("", 0, [], None, None, None, "", None, None)


def _row(group: Group) -> dict[str, Any]:
    values = dataclasses.asdict(group)
    del values["spans"]
    epochs = ", ".join(f"{span.first}-{span.last}" for span in group.spans)
    return {**values, "trained": group.trained, "epochs": epochs}
