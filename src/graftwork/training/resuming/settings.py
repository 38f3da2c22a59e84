"""What of an experiment decides how its trainings end."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from graftwork.experiment import Experiment

# Fields of conf/trainer that decide no result.
MACHINE = (
    *("checkpoint_minutes", "checkpoint_steps", "resume", "workers"),
    *("loader_timeout", "group_timeout"),
    "on_divergence",  # a leg that passes over steps says so itself
)


def settings_of(experiment: Experiment) -> dict[str, Any]:
    """What of the settings decides how a training ends."""
    values = {
        field.name: plain(getattr(experiment, field.name))
        for field in dataclasses.fields(experiment)
        if field.name not in ("evaluation", "tracking")
    }
    trainer = values["trainer"]
    values["trainer"] = {name: trainer[name] for name in trainer if name not in MACHINE}
    return values


def plain(value: object) -> Any:
    """The same for the same values, in any process: for a digest."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        fields = {f.name: plain(getattr(value, f.name)) for f in dataclasses.fields(value)}
        return {"": f"{type(value).__module__}.{type(value).__qualname__}", **fields}
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, set | frozenset):
        return sorted(map(str, value))
    if isinstance(value, str | bool | int | float | None):
        return value
    if isinstance(value, Sequence):
        return [plain(item) for item in value]
    if isinstance(value, Path):
        return str(value)
    return f"{type(value).__module__}.{type(value).__qualname__}"
