"""Fitting: a classifier trained in place by Lightning, as every training here is."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from graftwork.config.errors import UserError
from graftwork.data.images import DecodedImages, eval_view
from graftwork.evaluating.probabilities import softmax
from graftwork.features.prefixes.views import repeated
from graftwork.metrics.log_loss import log_losses
from graftwork.models.network.folding import foldable
from graftwork.process import distributed
from graftwork.selecting.record import GoneBack
from graftwork.settings.trainer import Trainer
from graftwork.training.at_hand import TrainingAtHand
from graftwork.training.batch_statistics import settle
from graftwork.training.callbacks import Curves, EndedBySigterm, Planned, Progress, gatherer
from graftwork.training.datamodule import PictureData, TrainingData, View
from graftwork.training.fast_forward import fast_forward
from graftwork.training.graft_module import Diverged, GraftModule, check_finite
from graftwork.training.guard import ATTEMPTS, SLOWER, Destroyed, Guard
from graftwork.training.kept_memory import kept_memory
from graftwork.training.lightning_trainer import lightning, quiet, share_cores
from graftwork.training.stored_prefix import StoredPrefix, logits_of, stored_prefix
from graftwork.transfer.parts import Facts, Moment

if TYPE_CHECKING:
    import pandas as pd

    from graftwork.experiment import Experiment
    from graftwork.models.base import InputSpec
    from graftwork.models.network.classifier import Classifier
    from graftwork.storage.artifacts import Artifacts
    from graftwork.training.history import Row
    from graftwork.training.plan import Plan
    from graftwork.transfer.at_hand import AtHand
    from graftwork.transfer.bound.gathering import Gathering, Score
    from graftwork.transfer.bound.objective import BoundObjective
    from graftwork.transfer.bound.penalty import BoundPenalty
    from graftwork.transfer.parts import Adapter
    from graftwork.transfer.strategy import Transfer


@dataclass(frozen=True)
class Trained:
    """What training gave."""

    epoch: int  # whose weights were kept, from 1; of several the last
    chose: str  # which epochs, in words: what held-out pictures chose; empty where nothing
    steps: int  # of the attempt that was kept
    trainable: int  # parameters, of what is kept
    further: int  # ones of penalties, which are not kept
    start: dict[str, torch.Tensor]  # the state dict before the first step
    prefix: StoredPrefix | None  # whose maps were trained on; None: pictures were
    gone_back: list[GoneBack]  # attempts that destroyed the network
    factor: float  # of the rates of the attempt that was kept
    ended: Moment  # the beginning of the epoch whose weights were kept
    validated: tuple[float, ...]  # held-out loss after each epoch, where pictures were held out
    plan: Plan | None  # of the attempt that was kept; None: none began
    came_back: bool  # False: none did, and the classifier is as it was before

    @property
    def destroyed(self) -> bool:
        return not self.came_back


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
    if experiment.transfer.trainable.needs_validation and not known and "val" not in watched:
        raise UserError(
            "transfer.trainable: what it unfreezes is decided by held-out pictures, and none are "
            "held out here. Choose another selection, or transfer/trainable=gradual."
        )
    if experiment.transfer.schedule.needs_validation and not known and "val" not in watched:
        raise UserError(
            "transfer.schedule: follows what held-out pictures say, and none are held out here. "
            "Choose transfer/schedule=step, or another selection."
        )
    share_cores(distributed.world_size())
    start = {name: tensor.clone() for name, tensor in classifier.state_dict().items()}
    spec = classifier.input_spec
    data: TrainingData = pictures_of(experiment, artifacts, spec, fit, watched)
    at_hand = TrainingAtHand(experiment, artifacts, spec, fit)
    facts = Facts.of(fit["label"].to_numpy(), num_classes, experiment.seed)
    if epochs is None:
        epochs = epochs_within(experiment.transfer, len(data.train_dataloader()), steps)
    prefix = stored_prefix(experiment, artifacts, classifier, fit, watched, epochs)
    if prefix is not None:
        data = prefix.data(fit, watched, **_loading(experiment))
    gone_back: list[GoneBack] = []
    counts = 0, 0
    for attempt in range(1, ATTEMPTS + 1):
        classifier.load_state_dict(start)
        torch.manual_seed(experiment.seed)
        gathering = experiment.transfer.average.gathering("val" in watched, enough)
        watchers = _Watchers.of(experiment, data, told, rows, gathering)
        first = attempt == 1 and watchers.curves.before == 0
        planned = Planned(start, shown=first and distributed.rank() == 0)
        transfer, seed = experiment.transfer, experiment.seed
        try:
            objective = transfer.objective.bound(facts)
            with (  # penalties of the plain network
                bound(transfer, classifier, objective, facts, at_hand) as penalties,
                attached(transfer.adapter, classifier, seed),
            ):
                module = GraftModule(
                    classifier, transfer, num_classes, objective=objective, penalties=penalties,
                    watched=data.watched, factor=factor, seed=seed, epochs=epochs,
                    known=known,
                )  # fmt: skip
                counts = trained_parameters(module)
                looking_on = [planned, *watchers.all()]
                fit_module(
                    module, experiment.trainer, looking_on, artifacts.root, data, steps, prefix
                )
            if gathering is not None:  # of the plain network, too
                place(
                    gathering,
                    experiment,
                    artifacts,
                    classifier,
                    fit,
                    watched.get("val"),
                    prefix,
                )
            # The very last step has no loss after it that could tell.
            check_finite(classifier, watchers.progress.steps)
        except (Destroyed, Diverged) as error:
            gone_back.append(_gone_back(attempt, error, watchers.guard.start_loss, factor))
            _say(gone_back[-1])
            if attempt == ATTEMPTS:
                return _as_it_was(experiment, classifier, start, prefix, counts, gone_back, error)
            factor *= SLOWER
            continue
        classifier.cpu().eval()
        done = watchers.progress.steps
        epoch = watchers.kept_epoch()
        chose = gathering.words if gathering is not None else ""
        ended = module.moment(epoch - watchers.curves.before - 1)
        return Trained(
            epoch, chose, done, *counts, start, prefix, gone_back, factor, ended, module.validated,
            planned.plan, came_back=True,
        )  # fmt: skip
    raise AssertionError("an attempt returns")


def place(
    gathering: Gathering,
    experiment: Experiment,
    artifacts: Artifacts,
    classifier: Classifier,
    fit: pd.DataFrame,
    held_out: pd.DataFrame | None,
    prefix: StoredPrefix | None = None,
) -> None:
    """Gives the classifier the weights that were gathered, and leaves it on the CPU.

    Every process sees all training pictures in the same batches, so that statistics computed anew
    are those of one.
    """
    device = "cuda" if experiment.trainer.uses_gpu() else "cpu"

    def settled() -> None:
        if prefix is None:
            spec = classifier.input_spec
            data: TrainingData = pictures_of(experiment, artifacts, spec, fit, {}, alone=True)
        else:
            data = prefix.data(fit, {}, **_loading(experiment, alone=True))
        with nullcontext() if prefix is None else prefix.reading(classifier):
            settle(classifier, data.train_dataloader(), device)

    def asked() -> Score:
        assert held_out is not None
        found = softmax(logits_of(experiment, artifacts, classifier, held_out, prefix))
        classifier.cpu()
        labels = held_out["label"].to_numpy()
        return float((found.argmax(1) == labels).mean()), -float(log_losses(found, labels).mean())

    gathering.place(classifier.cpu().eval(), settled, None if held_out is None else asked)


def epochs_within(transfer: Transfer, batches: int, steps: int | None) -> int:
    """The strategy's epochs, or the fewer in which the steps are done: of these progress tells what
    is left."""
    epochs = transfer.epochs_of(batches)
    return epochs if steps is None else min(epochs, -(-steps // batches))


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


def _gone_back(
    attempt: int, error: Destroyed | Diverged, start_loss: float, factor: float
) -> GoneBack:
    if isinstance(error, Destroyed):
        return GoneBack(attempt, error.step, error.loss, error.start_loss, factor)
    return GoneBack(attempt, error.step, None, start_loss, factor)


def _say(gone: GoneBack) -> None:
    """The guard's warning; the report and MLflow say the same."""
    if distributed.rank() == 0:
        loss = "no number" if gone.loss is None else f"{gone.loss:.3f}"
        print(
            f"graftwork: training destroys the network: after {gone.step} steps the loss is "
            f"{loss}, {gone.start_loss:.3f} before the first. It goes back to where it began"
            + (", with a third of the rates." if gone.attempt < ATTEMPTS else "."),
            file=sys.stderr,
        )


def _as_it_was(
    experiment: Experiment,
    classifier: Classifier,
    start: dict[str, torch.Tensor],
    prefix: StoredPrefix | None,
    counts: tuple[int, int],
    gone_back: list[GoneBack],
    error: Exception,
) -> Trained:
    """Every attempt destroyed the network: what it began from is kept, if that is worth anything.

    Raises:
        UserError: it is an untrained head.
    """
    if not experiment.transfer.head_init.needs_features:
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


@contextmanager
def attached(adapter: Adapter, classifier: Classifier, seed: int) -> Iterator[None]:
    """While this lasts the classifier has the adapter; before and after it is a plain network, also
    where training fails: what it starts from and what it gives are weights of that."""
    adapter.attach(classifier, seed)
    try:
        yield
    finally:
        adapter.merge(classifier)


@contextmanager
def bound(
    transfer: Transfer,
    classifier: Classifier,
    objective: BoundObjective,
    facts: Facts,
    at_hand: AtHand,
) -> Iterator[dict[str, BoundPenalty]]:
    """The strategy's penalties at work, without those that have nothing to add."""
    with ExitStack() as stack:
        found = {
            name: stack.enter_context(penalty.bound(classifier, objective, facts, at_hand))
            for name, penalty in transfer.penalties.items()
        }
        yield {name: penalty for name, penalty in found.items() if penalty is not None}


def trained_parameters(module: GraftModule) -> tuple[int, int]:
    """How many parameters are ever trained: of the network, and of penalties."""
    resting = sum(p.numel() for p in module.at_rest if not p.requires_grad)

    def count(part: nn.Module) -> int:
        return sum(p.numel() for p in part.parameters() if p.requires_grad)

    return count(module.classifier) + resting, count(module.penalties)


def fit_module(
    module: GraftModule,
    trainer: Trainer,
    watchers: Sequence[Any],
    root: Path,
    data: Any,
    steps: int | None = None,
    prefix: StoredPrefix | None = None,
) -> None:
    """Runs Lightning as every training here does.

    Args:
        watchers: callbacks.
        root: folder of the experiment.
        data: a LightningDataModule, or an iterable of batches.
        steps: at most so many; None: as many as the epochs have.
        prefix: whose maps the data holds; None: it holds pictures.
    """
    with quiet():
        engine = lightning(trainer, module.epochs, watchers, root, steps)
        bf16_on_cpu = not trainer.uses_gpu() and engine.precision == "bf16-mixed"
        frozen = module.transfer.batch_norm == "frozen"
        pairs = foldable(module.classifier) if frozen else []
        faster = fast_forward(module.classifier, fold=pairs, depthwise_fp32=bf16_on_cpu)
        reading = nullcontext() if prefix is None else prefix.reading(module.classifier)
        with kept_memory(), faster, reading:
            engine.fit(module, data)


def pictures_of(
    experiment: Experiment,
    artifacts: Artifacts,
    spec: InputSpec,
    fit: pd.DataFrame,
    watched: Mapping[str, pd.DataFrame],
    *,
    alone: bool = False,
) -> PictureData:
    """Pictures as a network of this input sees them in training, and those that are watched.

    Args:
        fit: rows of the manifest to train on.
        watched: rows to evaluate after each epoch, by split.
        alone: as if this were the only process.
    """
    experiment.dataset.warn_if_enlarged(spec)
    return PictureData(
        fit,
        watched,
        DecodedImages(artifacts, experiment.dataset),
        augment=_training_view(experiment, spec, len(fit)),
        view=lambda image: eval_view(image, spec),
        **_loading(experiment, alone=alone),
    )


def _training_view(experiment: Experiment, spec: InputSpec, rows: int) -> View:
    """What training sees of (picture, epoch, index): a new view in each epoch, or one of a few."""
    augment = experiment.augmentation.build(spec, experiment.seed)
    count = experiment.extraction.views
    if count is None:
        return augment
    return lambda image, epoch, index: augment(image, *repeated(epoch, index, rows, count))


def _loading(experiment: Experiment, *, alone: bool = False) -> dict[str, Any]:
    """Options of `TrainingData`."""
    return {
        "batch_size": experiment.trainer.images_a_step,
        "workers": experiment.trainer.workers,
        "seed": experiment.seed,
        "rank": 0 if alone else distributed.rank(),
        "processes": 1 if alone else distributed.world_size(),
        "sampler": experiment.transfer.sampler,
    }
