"""What all attempts of a training share, and one attempt."""

from __future__ import annotations

from collections.abc import Sequence
from copy import deepcopy
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import torch

from graftwork.process import distributed
from graftwork.selecting.record import GoneBack
from graftwork.training.at_hand import TrainingAtHand
from graftwork.training.bound_parts import attached, bound, fit_module, trained_parameters
from graftwork.training.callbacks import Planned
from graftwork.training.datamodule import TrainingData
from graftwork.training.diverging import Diverged, Step
from graftwork.training.flight_record import diverged, record_of
from graftwork.training.gathered import place
from graftwork.training.going_back import gone_back_of
from graftwork.training.graft_module import GraftModule, check_finite
from graftwork.training.guard import ATTEMPTS, Destroyed
from graftwork.training.pictures import loading, pictures_of
from graftwork.training.resuming.keeping import Keeping
from graftwork.training.resuming.legs import digest_of
from graftwork.training.resuming.results import facts_of, trained_of
from graftwork.training.resuming.settings import settings_of
from graftwork.training.stored_prefix import StoredPrefix, stored_prefix
from graftwork.training.trained import Trained
from graftwork.training.watchers import Watchers
from graftwork.transfer.parts import Facts

if TYPE_CHECKING:
    from graftwork.experiment import Experiment
    from graftwork.models.network.classifier import Classifier
    from graftwork.storage.artifacts import Artifacts
    from graftwork.training.course import Course, TrainingRows
    from graftwork.training.history import History, Row
    from graftwork.training.resuming.files import State


class Failed(Exception):
    """An attempt destroyed the network."""

    def __init__(self, gone: GoneBack, error: Destroyed | Diverged) -> None:
        super().__init__(str(error))
        self.gone, self.error = gone, error


@dataclass
class Fitting:
    """What all attempts of a training share."""

    experiment: Experiment
    artifacts: Artifacts
    classifier: Classifier
    shown: TrainingRows
    facts: Facts
    history: History
    course: Course
    epochs: int  # of the course, counted
    start: dict[str, torch.Tensor]  # the state dict before the first step
    prefix: StoredPrefix | None
    data: TrainingData
    told_before: int  # rows of earlier trainings
    counts: tuple[int, int] = (0, 0)  # parameters, as the latest attempt found them

    @classmethod
    def of(
        cls,
        experiment: Experiment,
        artifacts: Artifacts,
        classifier: Classifier,
        shown: TrainingRows,
        num_classes: int,
        history: History,
        course: Course,
    ) -> Fitting:
        """Of a classifier as it is now; frozen first layers are run here, where maps are stored."""
        start = {name: tensor.clone() for name, tensor in classifier.state_dict().items()}
        data: TrainingData = pictures_of(experiment, artifacts, classifier.input_spec, shown)
        labels = shown.fit["label"].to_numpy()
        facts = Facts.of(labels, num_classes, experiment.seed)
        epochs = course.epochs
        if epochs is None:
            epochs = epochs_within(experiment, data.order().steps, course.steps)
        epochs = experiment.trainer.epochs_of(epochs)
        prefix = stored_prefix(experiment, artifacts, classifier, shown, epochs)
        if prefix is not None:
            data = prefix.data(shown, **loading(experiment))
        return cls(
            experiment, artifacts, classifier, shown, facts, history, course, epochs, start,
            prefix, data, len(history.rows),
        )  # fmt: skip

    @property
    def enough(self) -> bool:
        """Whether held-out pictures can tell epochs apart."""
        return self.shown.can_choose(self.experiment.selection.min_val)

    @property
    def worth_keeping(self) -> bool:
        """Whether what it begins from is: a head that was computed, or a network trained before."""
        return self.course.goes_on or self.experiment.transfer.head_init.needs_features

    @property
    def defines(self) -> list[object]:
        """All that decides how it ends."""
        rows, course = {"fit": self.shown.fit, **self.shown.watched}, self.course
        pictures = {
            split: [frame[column].tolist() for column in ("sha256", "path", "label")]
            for split, frame in rows.items()
        }
        numbers = [self.facts.num_classes, self.enough, self.epochs, course.steps, course.known]
        counted = self.history.last_epoch
        device = [self.experiment.trainer.uses_gpu(), distributed.world_size()]
        settings = settings_of(self.experiment)
        start = digest_of(self.start)
        return [settings, start, pictures, numbers, counted, device, course.factor]

    def result(self, trained: Trained) -> State:
        """What `taken_from` needs."""
        state = self.classifier.state_dict()
        return {"trained": facts_of(trained), "rows": self._rows(), "state": state}

    def taken_from(self, result: State) -> Trained:
        """As if it had been trained here."""
        self.history.tell_again(result["rows"])
        self.classifier.load_state_dict(result["state"])
        self.classifier.cpu().eval()
        return trained_of(result["trained"], self.start, self.prefix)

    def _rows(self) -> list[Row]:
        """The curves of this training alone."""
        return self.history.rows[self.told_before :]

    def attempt(
        self,
        number: int,
        factor: float,
        gone_back: list[GoneBack],
        keeping: Keeping | None = None,
        taken_up: State | None = None,
    ) -> Trained:
        """Trains from the first weights, or on from where a checkpoint was taken of this attempt.

        Args:
            keeping: how checkpoints are kept; None: none are.

        Raises:
            Failed: the network was destroyed.
        """
        self.classifier.load_state_dict(self.start)
        torch.manual_seed(self.experiment.seed)
        watchers = self._watchers(number, taken_up)
        first = number == 1 and watchers.curves.before == 0 and taken_up is None
        planned = Planned(self.start, shown=first and distributed.rank() == 0)
        looking_on = [planned, *watchers.all()]
        if keeping is not None:
            looking_on += keeping.leg.legs.onlookers(keeping.leg.folder.name, number)
            known = {"attempt": number, "factor": factor, "gone_back": [*map(asdict, gone_back)]}
            known["earlier"] = watchers.earlier - self.told_before
            looking_on.append(
                keeping.callback(
                    number,
                    lambda: {**known, "rows": self._rows()},
                    watchers.kept,
                    taken_up,
                )
            )
        try:
            module = self._fitted(looking_on, factor)
            self._place(watchers)
            # The very last step has no loss after it that could tell.
            check_finite(self.classifier, watchers.progress.steps)
        except (Destroyed, Diverged) as error:
            if isinstance(error, Diverged) and error.at is not None:
                raise self._ended(error.at, number, watchers, keeping) from error
            loss = watchers.guard.start_loss
            raise Failed(gone_back_of(number, error, loss, factor), error) from error
        self.classifier.cpu().eval()
        return self._trained(module, watchers, planned, gone_back, factor)

    def _ended(
        self, at: Step, number: int, watchers: Watchers, keeping: Keeping | None
    ) -> Diverged:
        """What is kept of a training that ends at a step, and what is said."""
        record = record_of(self, number, at, watchers.guard.latest)
        pictures = [path for shown in record["shown"] for path in shown["path"]]
        if keeping is not None:
            keeping.record(record)
        return diverged(at, pictures, self.artifacts.root if keeping else None)

    def _watchers(self, number: int, taken_up: State | None) -> Watchers:
        average = self.experiment.transfer.average
        gathering = average.gathering("val" in self.shown.watched, self.enough)
        earlier = 0 if taken_up is None else taken_up["earlier"]
        if taken_up is not None:
            self.history.tell_again(taken_up["rows"][:earlier])
        found = Watchers.of(
            self.experiment, self.data, self.history, gathering,
            last=number == ATTEMPTS and not self.worth_keeping,
        )  # fmt: skip
        self.data.begin_at(0, 0)
        if taken_up is not None:
            self.history.tell_again(taken_up["rows"][earlier:])
            self.data.begin_at(taken_up["epoch"], taken_up["batch"])
            for name, watcher in found.kept.items():
                watcher.load_state_dict(taken_up["watchers"][name])
        return found

    def _place(self, watchers: Watchers) -> None:
        """What was gathered, given to the plain network, too."""
        if watchers.gatherer is not None:
            place(
                watchers.gatherer.gathering, self.experiment, self.artifacts, self.classifier,
                self.shown, self.prefix,
            )  # fmt: skip

    def _trained(
        self,
        module: GraftModule,
        watchers: Watchers,
        planned: Planned,
        gone_back: list[GoneBack],
        factor: float,
    ) -> Trained:
        epoch = watchers.kept_epoch()
        return Trained(
            epoch,
            "" if watchers.gatherer is None else watchers.gatherer.gathering.words,
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
        at_hand = TrainingAtHand(experiment, self.artifacts, classifier.input_spec, self.shown.fit)
        objective = transfer.objective.bound(self.facts)
        with (  # penalties of the plain network
            bound(transfer, classifier, objective, self.facts, at_hand) as penalties,
            attached(transfer.adapter, classifier, seed),
        ):
            parted = experiment.trainer.sharded
            module = GraftModule(
                deepcopy(classifier) if parted else classifier, transfer,
                self.facts.num_classes, objective=objective,
                penalties=penalties, watched=self.data.watched, factor=factor, seed=seed,
                epochs=self.epochs, known=self.course.known, shares=self.data.order().shares,
            )  # fmt: skip
            self.counts = trained_parameters(module)
            fit_module(
                module, experiment.trainer, watchers, self.artifacts.root, self.data,
                self.course.steps, self.prefix,
            )  # fmt: skip
            if parted:
                classifier.load_state_dict(module.state)
        return module


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
