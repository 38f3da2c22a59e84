"""The costs that a run can be compared by: their words, and the names they are recorded under."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from graftwork.config.errors import unknown
from graftwork.reporting.numbers import compact, number

STAGE = "seconds/"  # recorded once a stage


@dataclass(frozen=True)
class Axis:
    """One cost. Less is better."""

    word: str  # as the command line takes it
    recorded: str  # as `cost` of metrics.json and MLflow's `cost/...` have it
    label: str  # with its unit
    shown: Callable[[float], str]


AXES = (
    Axis("macs", "macs", "multiply-accumulates of one image", compact),
    Axis("parameters", "parameters", "parameters", compact),
    Axis("latency", "latency_ms", "latency of one image, ms", number),
    Axis("energy", "energy_mj_per_image", "energy of one image, mJ", number),
    Axis("seconds", "seconds", "wall clock of all stages, s", number),
    Axis("trainable", "trainable_parameters", "trainable parameters", compact),
    Axis("activations", "activation_mib", "activations of one image, MiB", number),
    Axis("memory", "peak_mib", "peak memory of the experiment, MiB", number),
)
TIMED = frozenset({"latency", "energy"})  # what other programs on the machine make larger
SIDE_BY_SIDE = ("macs", "parameters", "latency", "energy", "seconds")  # unless others are named


def costs(recorded: Mapping[str, float]) -> dict[str, float]:
    """A run's costs by word.

    Args:
        recorded: by the name below `cost/`: `{"macs": 4.1e9, "seconds/finetune": 130.0}`.

    Returns:
        One entry for each axis that is known of the run, and one for each stage's seconds.
        `seconds` is the sum over the stages.
    """
    known = {name: value for name, value in recorded.items() if math.isfinite(value)}
    found = {axis.word: known[axis.recorded] for axis in AXES if axis.recorded in known}
    stages = {name: value for name, value in known.items() if name.startswith(STAGE)}
    if stages:
        found["seconds"] = sum(stages.values())
    return found | stages


def axis_of(word: str, recorded: Iterable[str]) -> Axis:
    """The axis of a word of the command line.

    Args:
        word: of AXES, the name that it is recorded under, or `seconds/STAGE`.
        recorded: words that at least one run has.

    Raises:
        UserError: neither.
    """
    for axis in AXES:
        if word in (axis.word, axis.recorded):
            return axis
    stages = sorted(name for name in recorded if name.startswith(STAGE))
    if word in stages:
        return Axis(word, word, f"wall clock of {word.removeprefix(STAGE)}, s", number)
    raise unknown("--cost", word, [*(axis.word for axis in AXES), *stages])
