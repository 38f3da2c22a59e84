"""What the adviser is asked: which data, which networks and strategies, in how much time."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from graftwork.advising.rules import GAINS, STRATEGIES, Gains
from graftwork.cli.catalogue import ANY, Entry, entries, values
from graftwork.config.components import build
from graftwork.config.errors import UserError
from graftwork.experiment import Experiment
from graftwork.models.base import Weights
from graftwork.models.pretrained import weights_receipt
from graftwork.storage.artifacts import Artifacts
from pipelines.overrides import CONF, requested

BUDGET, DEFAULT = "budget=", "10min"
FITTED = "gains="  # a file of them: other than those of the rules
SECONDS = {"s": 1, "min": 60, "h": 3600}
FREE = NETWORK, STRATEGY, SIZE = "model", "transfer", "model.input_size"


@dataclass(frozen=True)
class Asked:
    """A command line that is right."""

    common: list[str]  # overrides of all experiments
    networks: list[str]  # none: those whose weights are here
    strategies: list[str]
    px: list[int]  # none: as the rules say
    budget: float  # s
    gains: Gains


def asked(arguments: Sequence[str]) -> Asked:
    """Reads and checks the command line.

    Raises:
        UserError: for anything wrong in it.
    """
    budgets = [word.removeprefix(BUDGET) for word in arguments if word.startswith(BUDGET)]
    files = [word.removeprefix(FITTED) for word in arguments if word.startswith(FITTED)]
    overrides = [word for word in arguments if not word.startswith((BUDGET, FITTED))]
    seconds = _seconds((budgets or [DEFAULT])[-1])
    request = requested(["-m", *overrides], _check)
    swept = request.swept if request else {}
    if several := [key for key in swept if key not in FREE]:
        raise UserError(
            f"{several[0]}: has several values. Give one: the adviser chooses among values of "
            f"{', '.join(FREE)}."
        )
    given = {key: value for key, _, value in (word.partition("=") for word in overrides)}
    chosen = {key: swept.get(key, [given[key]]) for key in FREE if key in given}
    return Asked(
        [word for word in overrides if word.partition("=")[0] not in FREE],
        chosen.get(NETWORK, []),
        chosen.get(STRATEGY, list(STRATEGIES)),
        sorted(int(value) for value in chosen.get(SIZE, []) if value != "null"),
        seconds,
        _gains(Path(files[-1])) if files else GAINS,
    )


def _gains(path: Path) -> Gains:
    """As `python -m benchmarks advise` leaves them."""
    try:
        return Gains(**json.loads(path.read_text("utf-8")))
    except (OSError, ValueError, TypeError) as error:
        raise UserError(f"gains: {path}: {error}. Legal: a file of advised/*/gains.json.") from None


def _check(params: Mapping[str, Any]) -> None:
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
    found = [entry for entry in _with_weights() if _is_here(artifacts, entry.word)]
    return [entry.word for entry in sorted(found, key=lambda entry: (entry.parameters or (0,))[0])]


def elsewhere(artifacts: Artifacts) -> dict[str, float]:
    """Top-1 on ImageNet (%) of the others, where it is published; the best first."""
    words = [entry.word for entry in _with_weights() if not _is_here(artifacts, entry.word)]
    return dict(sorted(on_imagenet(words).items(), key=lambda item: -item[1]))


def on_imagenet(words: Sequence[str]) -> dict[str, float]:
    """Published top-1 (%) of their weights, of those that have one."""
    from graftwork.profiling.imagenet import published

    found = {}
    for word in words:
        weights = values(CONF / "model" / f"{word}.yaml")["weights"]
        if score := weights and published(build(weights, Weights, "model.weights")):
            found[word] = score.top1
    return found


def _with_weights() -> list[Entry]:
    return [entry for entry in entries(CONF) if entry.origin and entry.word != ANY]


def _is_here(artifacts: Artifacts, word: str) -> bool:
    folder = artifacts.weights(word)
    try:
        file = weights_receipt(folder)["file"]
    except UserError:
        return False
    return bool(file) and (folder / file).is_file()
