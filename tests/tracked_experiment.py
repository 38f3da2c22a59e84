"""What tracking looks at of an experiment, and nothing else."""

from __future__ import annotations

from dataclasses import dataclass

from graftwork.settings.tracking import Tracking
from graftwork.transfer.parts import Start
from graftwork.transfer.starts import Random


@dataclass(frozen=True)
class Named:
    name: str


@dataclass(frozen=True)
class Strategy:
    name: str
    start: Start


@dataclass(frozen=True)
class Small:
    """What tracking looks at of an experiment."""

    tracking: Tracking
    seed: int = 5
    dataset: Named = Named("a-dataset")
    model: Named = Named("a-model")
    transfer: Strategy = Strategy("a-transfer", Random("."))


def experiment(**tracking) -> Small:
    fields = {"uri": None, "experiment": "group", "log_model": True, "recorders": {}}
    return Small(Tracking(**fields | tracking))
