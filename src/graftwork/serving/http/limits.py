"""What the service admits, and how long it waits. Its values stand in limits.yaml beside this."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path

import yaml

from graftwork.config.components import Component, build
from graftwork.config.errors import UserError, check_range

FILE = Path(__file__).with_name("limits.yaml")


@dataclass(frozen=True)
class Limits(Component):
    """Each key is explained in limits.yaml."""

    body_mib: float
    photos: int
    megapixels: float
    requests: int
    connections: int
    header_seconds: float
    body_seconds: float
    answer_seconds: float
    batch_size: int
    wait_ms: float
    explanations: int
    explain_seconds: float
    stop_seconds: float
    watch_seconds: float

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if field.name == "wait_ms":
                check_range(field.name, value, 0)
            else:
                check_range(field.name, value, 0, low_open=True)

    @property
    def body_bytes(self) -> int:
        return int(self.body_mib * 2**20)

    @property
    def pixels(self) -> int:
        return int(self.megapixels * 1e6)


def limits(changes: Sequence[str] = ()) -> Limits:
    """Those of limits.yaml with these changes, `KEY=VALUE` each.

    Raises:
        UserError: an unknown key, or a value out of bounds.
    """
    values = yaml.safe_load(FILE.read_text("utf-8"))
    for change in changes:
        key, sign, value = change.partition("=")
        if not sign:
            raise UserError(f"--set: '{change}' is no KEY=VALUE. Such as --set body_mib=32.")
        values[key] = yaml.safe_load(value)
    return build(values, Limits, "--set")
