"""The kinds of composable parts of a transfer strategy; each part has a file beside this folder."""

from __future__ import annotations

from graftwork.transfer.parts.beginning import Examples, FittedHead, HeadInit, Start
from graftwork.transfer.parts.kept import Average
from graftwork.transfer.parts.minimised import Objective, Penalty
from graftwork.transfer.parts.moment import Facts, Moment
from graftwork.transfer.parts.steps import Optimiser, Rates, Sampler, Schedule
from graftwork.transfer.parts.unfrozen import Adapter, Trainable

__all__ = [
    "Adapter",
    "Average",
    "Examples",
    "Facts",
    "FittedHead",
    "HeadInit",
    "Moment",
    "Objective",
    "Optimiser",
    "Penalty",
    "Rates",
    "Sampler",
    "Schedule",
    "Start",
    "Trainable",
]
