"""Fitting: a classifier trained in place by Lightning, as every training here is."""

from __future__ import annotations

from typing import TYPE_CHECKING

from graftwork.config.errors import UserError
from graftwork.process import distributed
from graftwork.selecting.record import GoneBack
from graftwork.settings.trainer import SKIP
from graftwork.training.course import AS_THE_STRATEGY_SAYS, Course, TrainingRows
from graftwork.training.fitted import Failed, Fitting
from graftwork.training.going_back import as_it_was, say
from graftwork.training.guard import ATTEMPTS, SLOWER
from graftwork.training.lightning_trainer import share_cores
from graftwork.training.resuming.keeping import Keeping
from graftwork.training.trained import Trained

if TYPE_CHECKING:
    from graftwork.experiment import Experiment
    from graftwork.models.network.classifier import Classifier
    from graftwork.storage.artifacts import Artifacts
    from graftwork.training.history import History
    from graftwork.training.resuming.files import State
    from graftwork.training.resuming.legs import Legs


def train(
    experiment: Experiment,
    artifacts: Artifacts,
    classifier: Classifier,
    shown: TrainingRows,
    num_classes: int,
    history: History,
    course: Course = AS_THE_STRATEGY_SAYS,
    legs: Legs | None = None,
) -> Trained:
    """Trains the classifier in place and leaves it on the CPU in eval mode.

    Where the guard sees it destroyed, it goes back to its first weights and begins again with a
    third of the rates.

    Args:
        history: grows by a row an epoch.
        legs: where it keeps how far it is: one that was cut goes on there, and one that is done is
            not done again. None: nothing is kept.

    Raises:
        UserError: a name of a layer is wrong; what is trained depends on held-out pictures, and
            there are none; no attempt came back, and the first weights are not worth keeping (their
            head was never computed or trained).
    """
    _check_held_out(experiment, course, shown)
    share_cores(distributed.world_size())
    whole = Fitting.of(experiment, artifacts, classifier, shown, num_classes, history, course)
    if legs is None:
        return _attempts(whole, course.factor)
    skips = experiment.trainer.on_divergence == SKIP
    keeping = Keeping.of(legs.leg(*whole.defines, skips=skips))
    if (done := keeping.result()) is not None:
        return whole.taken_from(done)
    with keeping.trying():
        trained = _attempts(whole, course.factor, keeping, keeping.latest())
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
                    gone_back, failed.error, whole.worth_keeping,
                )  # fmt: skip
            factor, taken_up = factor * SLOWER, None
    raise AssertionError("the last attempt returns")


def _check_held_out(experiment: Experiment, course: Course, shown: TrainingRows) -> None:
    """Raises UserError where a part waits for held-out pictures, and there are none."""
    if course.known or "val" in shown.watched:
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
