"""Fitting: a classifier trained in place by Lightning, as every training here is."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

from graftwork.config.errors import UserError
from graftwork.process import distributed
from graftwork.selecting.record import GoneBack
from graftwork.settings.trainer import SKIP
from graftwork.training.fitted import Failed, Fitting
from graftwork.training.going_back import as_it_was, say
from graftwork.training.guard import ATTEMPTS, SLOWER
from graftwork.training.lightning_trainer import share_cores
from graftwork.training.resuming.keeping import Keeping
from graftwork.training.trained import Trained

if TYPE_CHECKING:
    import pandas as pd

    from graftwork.experiment import Experiment
    from graftwork.models.network.classifier import Classifier
    from graftwork.storage.artifacts import Artifacts
    from graftwork.training.history import Row
    from graftwork.training.resuming.files import State
    from graftwork.training.resuming.legs import Legs


def train(
    experiment: Experiment,
    artifacts: Artifacts,
    classifier: Classifier,
    fit: pd.DataFrame,
    watched: Mapping[str, pd.DataFrame],
    num_classes: int,
    told: Callable[[Row, int], None],
    rows: list[Row],
    *,
    enough: bool = False,
    epochs: int | None = None,
    steps: int | None = None,
    factor: float = 1.0,
    known: Sequence[float] | None = None,
    legs: Legs | None = None,
) -> Trained:
    """Trains the classifier in place and leaves it on the CPU in eval mode.

    Where the guard sees it destroyed, it goes back to its first weights and begins again with a
    third of the rates.

    Args:
        watched: rows to evaluate after each epoch, by split (val: those that are held out, test).
        told: called with each epoch's numbers and its number, from 1; epochs of a new attempt
            count on.
        rows: curves so far; grows by a row an epoch.
        enough: whether so many pictures are held out that they can tell epochs apart.
        epochs: None: the strategy's.
        steps: at most so many, where the strategy's epochs would be more.
        factor: of the rates of the first attempt.
        known: held-out losses of an earlier training, see GraftModule; None: there is none.
        legs: where it keeps how far it is: one that was cut goes on there, and one that is done is
            not done again. None: nothing is kept.

    Raises:
        UserError: a name of a layer is wrong; what is trained depends on held-out pictures, and
            there are none; no attempt came back, and nothing stands behind the first weights (a
            head that was computed) that could be kept.
    """
    _check_held_out(experiment, known, watched)
    share_cores(distributed.world_size())
    whole = Fitting.of(
        experiment, artifacts, classifier, fit, watched, num_classes, told, rows,
        enough=enough, epochs=epochs, steps=steps, known=known,
    )  # fmt: skip
    if legs is None:
        return _attempts(whole, factor)
    skips = experiment.trainer.on_divergence == SKIP
    keeping = Keeping.of(legs.leg(*whole.defines, factor, skips=skips))
    if (done := keeping.result()) is not None:
        return whole.taken_from(done)
    with keeping.trying():
        trained = _attempts(whole, factor, keeping, keeping.latest())
        keeping.finish(lambda: whole.result(trained))
    return trained


def _attempts(
    whole: Fitting, factor: float, keeping: Keeping | None = None, taken_up: State | None = None
) -> Trained:
    """From the first, or from the one that a checkpoint was taken of."""
    first, gone_back = 1, list[GoneBack]()
    if taken_up is not None:
        first, factor = taken_up["attempt"], taken_up["factor"]
        gone_back = [GoneBack(**gone) for gone in taken_up["gone_back"]]
    for attempt in range(first, ATTEMPTS + 1):
        try:
            return whole.attempt(attempt, factor, gone_back, keeping, taken_up)
        except Failed as failed:
            gone_back.append(failed.gone)
            say(failed.gone)
            if attempt == ATTEMPTS:
                return as_it_was(
                    whole.experiment, whole.classifier, whole.start, whole.prefix, whole.counts,
                    gone_back, failed.error,
                )  # fmt: skip
            factor, taken_up = factor * SLOWER, None
    raise AssertionError("the last attempt returns")


def _check_held_out(
    experiment: Experiment, known: Sequence[float] | None, watched: Mapping[str, pd.DataFrame]
) -> None:
    """Raises UserError where a part waits for held-out pictures, and there are none."""
    if known or "val" in watched:
        return
    if experiment.transfer.trainable.needs_validation:
        raise UserError(
            "transfer.trainable: what it unfreezes is decided by held-out pictures, and none are "
            "held out here. Choose another selection, or transfer/trainable=gradual."
        )
    if experiment.transfer.schedule.needs_validation:
        raise UserError(
            "transfer.schedule: follows what held-out pictures say, and none are held out here. "
            "Choose transfer/schedule=step, or another selection."
        )
