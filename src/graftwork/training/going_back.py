"""A destroyed network goes back to where it began: what is recorded and said, and what is kept."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import torch

from graftwork.process import distributed
from graftwork.selecting.record import GoneBack
from graftwork.training.diverging import Diverged
from graftwork.training.guard import ATTEMPTS, SLOWER, Destroyed
from graftwork.training.stored_prefix import StoredPrefix
from graftwork.training.trained import Trained
from graftwork.transfer.parts import Moment

if TYPE_CHECKING:
    from graftwork.experiment import Experiment
    from graftwork.models.network.classifier import Classifier


def gone_back_of(
    attempt: int, error: Destroyed | Diverged, start_loss: float, factor: float
) -> GoneBack:
    if isinstance(error, Destroyed):
        return GoneBack(attempt, error.step, error.loss, error.start_loss, factor)
    return GoneBack(attempt, error.step, None, start_loss, factor)


def say(gone: GoneBack) -> None:
    """The guard's warning; the report and MLflow say the same."""
    if distributed.rank() == 0:
        loss = "no number" if gone.loss is None else f"{gone.loss:.3f}"
        print(
            f"graftwork: training destroys the network: after {gone.step} steps the loss is "
            f"{loss}, {gone.start_loss:.3f} before the first. It goes back to where it began"
            + (", with a third of the rates." if gone.attempt < ATTEMPTS else "."),
            file=sys.stderr,
        )


def as_it_was(
    experiment: Experiment,
    classifier: Classifier,
    start: dict[str, torch.Tensor],
    prefix: StoredPrefix | None,
    counts: tuple[int, int],
    gone_back: list[GoneBack],
    error: Exception,
    worth_keeping: bool,
) -> Trained:
    """Every attempt destroyed the network: what it began from is kept, if that is worth anything.

    Raises:
        UserError: it is an untrained head.
    """
    if not worth_keeping:
        raise Diverged(
            f"all of {ATTEMPTS} attempts, the last with {SLOWER ** (ATTEMPTS - 1):.3f} of the "
            f"rates ({error})",
            gone_back[-1].step,
        )
    classifier.load_state_dict(start)
    classifier.cpu().eval()
    never = Moment.of_epoch(0, experiment.transfer.epochs)
    return Trained(
        0, "", 0, *counts, start, prefix, gone_back, 0.0, never, (), None, came_back=False
    )
