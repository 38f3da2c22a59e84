"""Whether a strategy's penalties have what they need, before time is spent; imports no torch where
none of them looks into a file of weights."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from graftwork.experiment import Experiment
    from graftwork.storage.artifacts import Artifacts


def check_ready(experiment: Experiment, artifacts: Artifacts, classes: list[str]) -> None:
    """Raises UserError for a teacher of other classes, or weights without their classifier."""
    if not experiment.transfer.epochs:
        return
    for name, penalty in experiment.transfer.penalties.items():
        penalty.check_classes(f"transfer.penalties.{name}", classes)
        if penalty.needs_source_head:
            from graftwork.training.at_hand import pretrained_whole

            pretrained_whole(experiment, artifacts)
