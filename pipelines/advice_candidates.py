"""What the adviser is asked: which data, which networks and strategies, in how much time."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from graftwork.advising.rules import PROBE, STRATEGIES, sizes
from graftwork.cli.catalogue import ANY, Entry, entries, values
from graftwork.config.components import build
from graftwork.config.errors import UserError
from graftwork.experiment import Experiment
from graftwork.models.base import Weights
from graftwork.models.pretrained import weights_receipt
from graftwork.storage.artifacts import Artifacts
from pipelines.overrides import CONF, requested

BUDGET = "budget="
DEFAULT = "10min"
SECONDS = {"s": 1, "min": 60, "h": 3600}
NETWORK, STRATEGY, SIZE = "model", "transfer", "model.input_size"


@dataclass(frozen=True)
class Asked:
    """A command line that is right."""

    common: list[str]  # overrides of all experiments
    networks: list[str]  # none: those whose weights are here
    strategies: list[str]
    px: list[int]  # none: as the rules say
    budget: float  # s


@dataclass(frozen=True)
class Elsewhere:
    """A network whose weights are not here."""

    word: str
    imagenet: float  # top-1, %


def asked(arguments: Sequence[str]) -> Asked:
    """Reads and checks the command line.

    Raises:
        UserError: for anything wrong in it.
    """
    budgets = [word.removeprefix(BUDGET) for word in arguments if word.startswith(BUDGET)]
    overrides = [word for word in arguments if not word.startswith(BUDGET)]
    seconds = _seconds((budgets or [DEFAULT])[-1])
    request = requested(["-m", *overrides], _check)
    if request is None:
        raise UserError("advise: takes KEY=VALUE alone. `graftwork advise --help` says more.")
    free = {NETWORK: list[str](), STRATEGY: list[str](), SIZE: list[str]()}
    common = []
    for word in overrides:
        key, _, value = word.partition("=")
        if key in free:
            free[key] = request.swept.get(key, [value])
        elif key in request.swept:
            raise UserError(
                f"{key}: has several values, and the adviser chooses among networks, strategies "
                f"and sizes alone. Give one. Legal with several: {', '.join(free)}."
            )
        else:
            common.append(word)
    px = [int(value) for value in free[SIZE] if value != "null"]
    return Asked(common, free[NETWORK], free[STRATEGY] or list(STRATEGIES), px, seconds)


def _check(params: object) -> None:
    assert isinstance(params, dict)
    experiment = Experiment.from_params(params)
    experiment.tracking.check()
    if experiment.selection.method == "none":
        raise UserError(
            "selection: none holds nothing out, so that nothing could be advised. Choose "
            "selection=auto."
        )


def _seconds(text: str) -> float:
    found = re.fullmatch(r"(\d+(?:\.\d+)?)(s|min|h)", text)
    if found is None or not float(found[1]):
        raise UserError(f"budget: '{text}' is no time. Legal: 90s, 10min, 2h.")
    return float(found[1]) * SECONDS[found[2]]


def here(artifacts: Artifacts) -> list[str]:
    """The networks whose weights are here, the smaller first."""
    found = [entry for entry in _with_weights() if _is_here(artifacts.weights(entry.word))]
    return [entry.word for entry in sorted(found, key=lambda entry: (entry.parameters or (0,))[0])]


def elsewhere(artifacts: Artifacts) -> list[Elsewhere]:
    """The others of which a score on ImageNet is published, the best first."""
    from graftwork.profiling.imagenet import published

    found = []
    for entry in _with_weights():
        if _is_here(artifacts.weights(entry.word)):
            continue
        model = values(CONF / "model" / f"{entry.word}.yaml")
        weights = build(model["weights"], Weights, "model.weights")
        score = published(weights)
        if score is not None:
            found.append(Elsewhere(entry.word, score.top1))
    return sorted(found, key=lambda one: -one.imagenet)


def _with_weights() -> list[Entry]:
    return [entry for entry in entries(CONF) if entry.origin and entry.word != ANY]


def _is_here(folder: Path) -> bool:
    try:
        file = weights_receipt(folder)["file"]
    except UserError:
        return False
    return bool(file) and (folder / file).is_file()


def at_sizes(experiment: Experiment, px: Sequence[int]) -> Sequence[int]:
    """The sizes at which a network is probed, the cheaper first.

    Args:
        experiment: with the network at its own size.
        px: those that the user named.
    """
    if px:
        return sorted(px)
    from graftwork.profiling.profile import built

    return sizes(built(experiment.model, num_classes=2).input_spec.size)


def heads(strategies: Sequence[str], epochs: dict[str, int]) -> list[str]:
    """Those that train nothing through the network."""
    return [name for name in strategies if not epochs[name] and name != PROBE]
