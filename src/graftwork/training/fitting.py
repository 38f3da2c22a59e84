"""Fitting: a classifier trained in place by Lightning, as every training here is."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch

from graftwork.config.errors import UserError
from graftwork.process import distributed
from graftwork.selecting.record import GoneBack
from graftwork.training.at_hand import TrainingAtHand
from graftwork.training.bound_parts import attached, bound, fit_module, trained_parameters
from graftwork.training.callbacks import Curves, EndedBySigterm, Planned, Progress, gatherer
from graftwork.training.datamodule import TrainingData
from graftwork.training.gathered import place
from graftwork.training.going_back import as_it_was, gone_back_of, say
from graftwork.training.graft_module import Diverged, GraftModule, check_finite
from graftwork.training.guard import ATTEMPTS, SLOWER, Destroyed, Guard
from graftwork.training.lightning_trainer import share_cores
from graftwork.training.pictures import loading, pictures_of
from graftwork.training.stored_prefix import StoredPrefix, stored_prefix
from graftwork.training.trained import Trained
from graftwork.transfer.parts import Facts

if TYPE_CHECKING:
    import pandas as pd

    from graftwork.experiment import Experiment
    from graftwork.models.network.classifier import Classifier
    from graftwork.storage.artifacts import Artifacts
    from graftwork.training.history import Row
    from graftwork.transfer.bound.gathering import Gathering


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

    Raises:
        UserError: a name of a layer is wrong; what is trained depends on held-out pictures, and
            there are none; no attempt came back, and nothing stands behind the first weights (a
            head that was computed) that could be kept.
    """
    _check_held_out(experiment, known, watched)
    share_cores(distributed.world_size())
    whole = _Fitting.of(
        experiment, artifacts, classifier, fit, watched, num_classes, told, rows,
        enough=enough, epochs=epochs, steps=steps, known=known,
    )  # fmt: skip
    gone_back: list[GoneBack] = []
    for attempt in range(1, ATTEMPTS + 1):
        try:
            return whole.attempt(attempt, factor, gone_back)
        except _Failed as failed:
            gone_back.append(failed.gone)
            say(failed.gone)
            if attempt == ATTEMPTS:
                return as_it_was(
                    experiment, classifier, whole.start, whole.prefix, whole.counts, gone_back,
                    failed.error,
                )  # fmt: skip
            factor *= SLOWER
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


class _Failed(Exception):
    """An attempt destroyed the network."""

    def __init__(self, gone: GoneBack, error: Destroyed | Diverged) -> None:
        super().__init__(str(error))
        self.gone, self.error = gone, error


@dataclass
class _Fitting:
    """What all attempts of a training share."""

    experiment: Experiment
    artifacts: Artifacts
    classifier: Classifier
    fit: pd.DataFrame
    watched: Mapping[str, pd.DataFrame]
    facts: Facts
    told: Callable[[Row, int], None]
    rows: list[Row]
    enough: bool
    epochs: int
    steps: int | None
    known: Sequence[float] | None
    start: dict[str, torch.Tensor]  # the state dict before the first step
    prefix: StoredPrefix | None
    data: TrainingData
    counts: tuple[int, int] = (0, 0)  # parameters, as the latest attempt found them

    @classmethod
    def of(
        cls,
        experiment: Experiment,
        artifacts: Artifacts,
        classifier: Classifier,
        fit: pd.DataFrame,
        watched: Mapping[str, pd.DataFrame],
        num_classes: int,
        told: Callable[[Row, int], None],
        rows: list[Row],
        *,
        enough: bool,
        epochs: int | None,
        steps: int | None,
        known: Sequence[float] | None,
    ) -> _Fitting:
        """Of a classifier as it is now; frozen first layers are run here, where maps are stored."""
        start = {name: tensor.clone() for name, tensor in classifier.state_dict().items()}
        data: TrainingData = pictures_of(experiment, artifacts, classifier.input_spec, fit, watched)
        facts = Facts.of(fit["label"].to_numpy(), num_classes, experiment.seed)
        if epochs is None:
            epochs = epochs_within(experiment, data.order().steps, steps)
        epochs = experiment.trainer.epochs_of(epochs)
        prefix = stored_prefix(experiment, artifacts, classifier, fit, watched, epochs)
        if prefix is not None:
            data = prefix.data(fit, watched, **loading(experiment))
        return cls(
            experiment, artifacts, classifier, fit, watched, facts, told, rows,
            enough, epochs, steps, known, start, prefix, data,
        )  # fmt: skip

    def attempt(self, number: int, factor: float, gone_back: list[GoneBack]) -> Trained:
        """Trains from the first weights.

        Raises:
            _Failed: the network was destroyed.
        """
        self.classifier.load_state_dict(self.start)
        torch.manual_seed(self.experiment.seed)
        average = self.experiment.transfer.average
        gathering = average.gathering("val" in self.watched, self.enough)
        watchers = _Watchers.of(self.experiment, self.data, self.told, self.rows, gathering)
        first = number == 1 and watchers.curves.before == 0
        planned = Planned(self.start, shown=first and distributed.rank() == 0)
        try:
            module = self._fitted([planned, *watchers.all()], factor)
            if gathering is not None:  # of the plain network, too
                place(
                    gathering, self.experiment, self.artifacts, self.classifier, self.fit,
                    self.watched.get("val"), self.prefix,
                )  # fmt: skip
            # The very last step has no loss after it that could tell.
            check_finite(self.classifier, watchers.progress.steps)
        except (Destroyed, Diverged) as error:
            loss = watchers.guard.start_loss
            raise _Failed(gone_back_of(number, error, loss, factor), error) from error
        self.classifier.cpu().eval()
        epoch = watchers.kept_epoch()
        return Trained(
            epoch,
            gathering.words if gathering is not None else "",
            watchers.progress.steps,
            *self.counts,
            self.start,
            self.prefix,
            gone_back,
            factor,
            module.moment(epoch - watchers.curves.before - 1),
            module.validated,
            planned.plan,
            came_back=True,
        )

    def _fitted(self, watchers: Sequence[Any], factor: float) -> GraftModule:
        """Runs Lightning with the strategy's parts bound to the classifier."""
        experiment, transfer = self.experiment, self.experiment.transfer
        classifier, seed = self.classifier, self.experiment.seed
        at_hand = TrainingAtHand(experiment, self.artifacts, classifier.input_spec, self.fit)
        objective = transfer.objective.bound(self.facts)
        with (  # penalties of the plain network
            bound(transfer, classifier, objective, self.facts, at_hand) as penalties,
            attached(transfer.adapter, classifier, seed),
        ):
            module = GraftModule(
                classifier, transfer, self.facts.num_classes, objective=objective,
                penalties=penalties, watched=self.data.watched, factor=factor, seed=seed,
                epochs=self.epochs, known=self.known, shares=self.data.order().shares,
            )  # fmt: skip
            self.counts = trained_parameters(module)
            fit_module(
                module, experiment.trainer, watchers, self.artifacts.root, self.data,
                self.steps, self.prefix,
            )  # fmt: skip
        return module


@dataclass(frozen=True)
class _Watchers:
    """What looks on in one attempt."""

    curves: Curves
    progress: Progress
    guard: Guard
    gathering: Gathering | None
    patience: int

    @classmethod
    def of(
        cls,
        experiment: Experiment,
        data: TrainingData,
        told: Callable[[Row, int], None],
        rows: list[Row],
        gathering: Gathering | None,
    ) -> _Watchers:
        guard = Guard(lambda: data.train_dataloader())
        patience = experiment.trainer.patience
        return cls(Curves(told, rows), Progress(), guard, gathering, patience)

    def all(self) -> list[Any]:
        found = [EndedBySigterm(), self.progress, self.curves, self.guard]
        if self.gathering is None:
            return found
        return [*found, gatherer(self.gathering, self.patience)]

    def kept_epoch(self) -> int:
        if self.gathering is None or not self.gathering.epochs:
            return int(self.curves.rows[-1]["epoch"])
        return self.curves.before + max(self.gathering.epochs) + 1


def epochs_within(experiment: Experiment, each: int, steps: int | None) -> int:
    """The strategy's epochs, or the fewer in which the steps are done: of these progress tells what
    is left.

    Args:
        each: steps an epoch, before `trainer.limit_batches`.
        steps: at most so many; None: as many as the epochs have.
    """
    epochs = experiment.transfer.epochs_of(each)
    each = min(each, experiment.trainer.limit_batches or each)
    return epochs if steps is None else min(epochs, -(-steps // each))
