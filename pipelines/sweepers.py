"""What a sweeper is handed: the selection score, or where it looks for the smallest, the error.

Sweepers say in their own words in which direction they look. Read the wrong way round, an
optimiser looks for the worst experiment; so what cannot be read is asked for before any work.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from omegaconf import ListConfig, OmegaConf

from graftwork.config.errors import UserError, check_choice
from graftwork.settings.selection import DIRECTIONS

# Do all jobs, whatever comes.
GRIDS = (
    "hydra_plugins.graftwork_sweepers.Grid",
    "hydra_plugins.graftwork_sweepers.Minutes",
    "hydra._internal.core_plugins.basic_sweeper.BasicSweeper",  # hydra/sweeper=basic
)
MAXIMIZE, MINIMIZE = DIRECTIONS
NODE = "hydra.sweeper"
# Switches and what they say when they are on: Nevergrad's, and the two of Ax.
SWITCHES = {
    "optim.maximize": MAXIMIZE,
    "ax_config.experiment.minimize": MINIMIZE,
    "ax_config.early_stop.minimize": MINIMIZE,
}


@dataclass(frozen=True)
class SweeperFacts:
    """What the composed node of a sweeper says."""

    name: str  # of its class
    optimises: bool  # whether it looks at scores
    direction: str | None  # in which it looks; None: cannot be read
    said_by: str  # the setting that says so


def does_all(node: Any) -> bool:
    """Whether the sweeper of this node does every combination, as Hydra's own does."""
    return str(OmegaConf.select(node, "_target_")) in GRIDS


def facts(node: Any) -> SweeperFacts:
    """Reads `hydra.sweeper`.

    Args:
        node: as composed; enumerations may stand for words (Optuna's).

    Raises:
        UserError: it looks for several scores at once, in no direction that there is, or in two.
    """
    target = str(OmegaConf.select(node, "_target_"))
    name = target.rpartition(".")[2]
    if target in GRIDS:
        return SweeperFacts(name, False, None, "")
    found = {f"{NODE}.{key}": word for key, word in _said(node).items()}
    if len({*found.values()}) > 1:
        words = ", ".join(f"{key} says {word}" for key, word in found.items())
        raise UserError(f"{NODE}: two directions at once: {words}. Set both to the same.")
    key, word = next(iter(found.items()), ("", None))
    return SweeperFacts(name, True, word, key)


def _said(node: Any) -> dict[str, str]:
    """Directions by the setting that says them."""
    found = {}
    for key, when_on in SWITCHES.items():
        value = OmegaConf.select(node, key)
        if isinstance(value, bool):
            found[key] = when_on if value else next(d for d in DIRECTIONS if d != when_on)
    value = OmegaConf.select(node, "direction")
    words = list(value) if isinstance(value, list | ListConfig) else [value]
    if len(words) != 1:
        raise UserError(
            f"{NODE}.direction: {len(words)} directions, but a job has one score, its selection "
            f"score. Legal: one of {', '.join(DIRECTIONS)}."
        )
    if words[0] is not None:
        word = str(getattr(words[0], "name", words[0])).lower()
        check_choice(f"{NODE}.direction", word, DIRECTIONS)
        found["direction"] = word
    return found


def check(sweeper: SweeperFacts, params: Mapping[str, Any]) -> None:
    """Whether what these parameters give a job is what the sweeper looks for.

    Raises:
        UserError: no score, no direction, or one that contradicts the sweeper's.
    """
    selection = params.get("selection") or {}
    asked = selection.get("direction")
    if not sweeper.optimises:
        return
    if selection.get("method") == "none":
        raise UserError(
            f"selection.method: 'none' gives no selection score, by which {sweeper.name} chooses. "
            "Hold pictures out (selection=auto), or sweep with hydra/sweeper=grid."
        )
    if "top1" not in (params.get("evaluation") or {}).get("metrics", {}):
        raise UserError(
            f"evaluation.metrics: no top1, of which the score is made that {sweeper.name} chooses "
            "by. Leave it in."
        )
    if sweeper.direction is None and asked is None:
        raise UserError(
            f"selection.direction: not given, and {sweeper.name} does not say in which direction "
            "it looks. Legal: maximize (it is handed top-1 of held-out pictures), minimize (their "
            "error, 1 - top-1)."
        )
    if sweeper.direction and asked and asked != sweeper.direction:
        raise UserError(
            f"selection.direction: '{asked}' contradicts {sweeper.said_by}, which says "
            f"{sweeper.direction}. Leave selection.direction out, or change one of them."
        )


def handed(top1: float | None, sweeper: SweeperFacts, asked: str | None) -> float:
    """What the sweeper gets for a job.

    Args:
        top1: the selection score, a share; None where the job has none.
        asked: selection.direction, of which check() has seen that it contradicts nothing.

    Returns:
        top-1, or the error where the sweeper minimises; NaN without a score.
    """
    if top1 is None:
        return math.nan
    return 1 - top1 if (sweeper.direction or asked) == MINIMIZE else top1
