"""The one LightningModule: every strategy trains through it."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

import torch
from torch.nn import functional as F

from graftwork.models.batch_norm import moves_statistics
from graftwork.process import distributed
from graftwork.training.diverging import Diverged
from graftwork.training.lightning import pl, torchmetrics
from graftwork.training.parameter_groups import parameter_groups
from graftwork.training.sharding import shard, whole, whole_state
from graftwork.transfer.bound.objective import BoundObjective, larger_share
from graftwork.transfer.bound.penalty import BoundPenalty, Outputs
from graftwork.transfer.parts import Facts, Moment

if TYPE_CHECKING:
    from graftwork.models.network.classifier import Classifier
    from graftwork.training.datamodule import Batch
    from graftwork.transfer.strategy import Transfer


def check_finite(classifier: Classifier, step: int) -> None:
    """Raises Diverged unless every weight and buffer is a number."""
    for name, tensor in classifier.state_dict().items():
        if not tensor.isfinite().all():
            raise Diverged(f"{name} holds values that are no numbers", step)


@dataclass(frozen=True)
class Minimised:
    """What a batch gave."""

    logits: torch.Tensor  # float32 [B, num_classes]
    labels: torch.Tensor  # int64 [B]: where images are mixed, of the larger share
    loss: torch.Tensor  # of the objective
    penalties: dict[str, torch.Tensor]  # by name, before they are weighted
    total: torch.Tensor  # what is minimised: the loss and the weighted penalties


class GraftModule(pl.LightningModule):
    """A classifier, trained as a transfer strategy says; of its parts only the kinds are known.

    Logs `train/loss`, `train/top1`, `val/loss` (unsmoothed cross-entropy), `val/top1` and, with
    more than five classes, `val/top5`, once an epoch; the same of `test` where the data shows
    test pictures, whose numbers nothing here reads; and `train/<name>_loss` of each penalty, before
    it is weighted. Sums and counts are added over all processes, so that N of them report what
    one would.

    Where images are mixed, `train/top1` counts the label that has the larger share.

    Args:
        objective: bound to this training; None: as where every class has as many pictures.
        penalties: bound to this classifier, by name.
        watched: splits, in the order of the validation loaders.
        factor: of all learning rates.
        seed: of everything random about the objective.
        known: held-out losses of an earlier training of the same kind, by epoch: what it decided by
            them is decided again, at the same shares of the way. None: those of this one.
        shares: of a step's pictures in each of its forward passes.
    """

    def __init__(
        self,
        classifier: Classifier,
        transfer: Transfer,
        num_classes: int,
        *,
        objective: BoundObjective | None = None,
        penalties: Mapping[str, BoundPenalty] | None = None,
        watched: Sequence[str] = ("val",),
        factor: float = 1.0,
        seed: int = 0,
        epochs: int | None = None,
        known: Sequence[float] | None = None,
        shares: Sequence[float] = (1.0,),
    ) -> None:
        super().__init__()
        self.classifier, self.transfer = classifier, transfer
        self.objective = objective or transfer.objective.bound(Facts.even(num_classes))
        self.penalties = torch.nn.ModuleDict(penalties or {})
        # Of the latest step, so far: the objective's loss, and what is minimised.
        self.latest = self.latest_total = torch.tensor(math.nan)
        # Told the norm of a step's gradient; False: the step is passed over.
        self.judge: Callable[[torch.Tensor], bool] = lambda norm: True
        self.shares = tuple(shares)
        # Features of normalised pictures in a training step; None: as the classifier has them.
        self.through: Callable[[torch.Tensor], torch.Tensor] | None = None
        self.watched, self.factor, self.seed = tuple(watched), factor, seed
        self.epochs = transfer.epochs if epochs is None else epochs
        self.layout = classifier.layout()
        self.state: dict[str, torch.Tensor] = {}  # of a network in parts, when it is trained
        self.validated: tuple[float, ...] = ()  # held-out loss after each epoch that is done
        self.known = None if known is None else tuple(known)
        self.at_rest: list[torch.nn.Parameter] = []  # trained at another time, not now
        self.configure_metrics(num_classes)
        self.freeze_for(self.moment(0))  # wrong group names show before any data is read

    def configure_metrics(self, num_classes: int) -> None:
        """Sums and counts that add up over batches and processes."""

        def mean() -> torchmetrics.MeanMetric:
            return torchmetrics.MeanMetric(nan_strategy=math.nan)  # a NaN stays one

        def hits(split: str, *top_k: int) -> torchmetrics.MetricCollection:
            accuracy = torchmetrics.classification.MulticlassAccuracy
            counts: dict[str, Any] = {
                f"top{k}": accuracy(num_classes, top_k=k, average="micro") for k in top_k
            }
            # Grouped, two metrics whose first batch looks alike would share one count for good.
            return torchmetrics.MetricCollection(counts, prefix=f"{split}/", compute_groups=False)

        self.train_loss, self.train_hits = mean(), hits("train", 1)
        self.penalty_loss = torch.nn.ModuleDict({name: mean() for name in self.penalties})
        top_k = (1, 5) if num_classes > 5 else (1,)
        self.watched_loss = torch.nn.ModuleList(mean() for _ in self.watched)
        self.watched_hits = torch.nn.ModuleList(hits(split, *top_k) for split in self.watched)

    def moment(self, epoch: int, step: int = 0, steps: int = 0) -> Moment:
        """Now, as parts are told it."""
        said = self.validated[:epoch]
        if self.known is not None:
            said = self.known[: round(epoch * len(self.known) / max(1, self.epochs))]
        return Moment(step, steps, epoch, self.epochs, said)

    def freeze_for(self, moment: Moment) -> None:
        """What this epoch trains. Follows from the moment alone, so that no history is needed.

        Several processes reduce the gradients of a set of parameters that is fixed when they begin:
        what is trained at another time has a gradient all the while, and is not moved by it.
        """
        trainable, batch_norm = self.transfer.trainable, self.transfer.batch_norm
        ever = trainable.ever_parameters(self.layout, self.epochs)
        names = [group.parameters for group in self.layout.groups]
        for penalty in self.penalties.values():
            cast(BoundPenalty, penalty).freeze(names, self.layout.touched(ever))
        self.classifier.train_only(ever, batch_norm)
        sometimes = [p for p in self.classifier.parameters() if p.requires_grad]
        self.classifier.train_only(trainable.parameters(self.layout, moment), batch_norm)
        self.at_rest = [p for p in sometimes if not p.requires_grad]
        if distributed.world_size() > 1:
            for parameter in self.at_rest:
                parameter.requires_grad_(True)

    def on_before_optimizer_step(self, optimizer: Any) -> None:
        for parameter in self.at_rest:
            parameter.grad = None

    def configure_model(self) -> None:
        """Lightning's strategy of networks in parts has a mesh of processes; others have none."""
        if self.device_mesh is not None:
            shard(self.classifier, self.device_mesh["data_parallel"])

    def on_train_end(self) -> None:
        """What is trained in parts is put together while all processes are here."""
        if self.device_mesh is not None:
            self.state = whole_state(self.classifier)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """uint8 `[B, S, S, 3]` to logits `[B, num_classes]`."""
        return self.classifier(self.classifier.normalise(images))

    def on_train_epoch_start(self) -> None:
        self.freeze_for(self.moment(self.current_epoch))
        self.train()  # Lightning keeps whatever mode it finds

    def follow_validation(self) -> None:
        """Rates of the next step, which were set before this epoch was validated."""
        schedule: Any = self.lr_schedulers()
        for group, peak, factor in zip(
            schedule.optimizer.param_groups, schedule.base_lrs, schedule.lr_lambdas, strict=True
        ):
            group["lr"] = peak * factor(self.trainer.global_step)

    def training_step(self, batch: Batch, batch_idx: int) -> torch.Tensor:
        part = batch_idx % len(self.shares)
        found = self.minimised(*batch, self.now(), part)
        labels, loss = found.labels, found.loss.detach()
        share, total = self.shares[part], found.total.detach()
        self.latest = loss * share + (self.latest if part else 0)
        self.latest_total = total * share + (self.latest_total if part else 0)
        self.train_loss.update(loss, len(labels))
        self.train_hits.update(found.logits.detach(), labels)
        self.log("train/loss", self.train_loss, on_step=False, on_epoch=True)
        self.log_dict(self.train_hits, on_step=False, on_epoch=True)
        for name, value in found.penalties.items():
            metric: Any = self.penalty_loss[name]
            metric.update(value.detach(), len(labels))
            self.log(f"train/{name}_loss", metric, on_step=False, on_epoch=True)
        if len(self.shares) == 1:
            return found.total
        # Lightning takes the mean over passes; the pictures of a small last one count as others do.
        return found.total * (self.shares[part] * len(self.shares))

    def now(self) -> Moment:
        """The moment of the step that is taken."""
        steps = int(self.trainer.estimated_stepping_batches)
        return self.moment(self.current_epoch, self.trainer.global_step, steps)

    def minimised(
        self, images: torch.Tensor, labels: torch.Tensor, moment: Moment, part: int = 0
    ) -> Minimised:
        """What training minimises on a batch at this moment; changes nothing.

        Args:
            part: of the step's forward passes, from 0.
        """
        self.transfer.adapter.tell(self.classifier, moment, self.seed)
        images, targets = self.objective.mix(images, labels, self.generator(moment, part))
        bound = {name: cast(BoundPenalty, penalty) for name, penalty in self.penalties.items()}
        pixels = self.classifier.normalise(images)
        with ExitStack() as stack:
            for penalty in bound.values():
                stack.enter_context(penalty.watching(self.classifier.backbone))
            through = self.through if torch.is_grad_enabled() else None
            features = (through or self.classifier.features)(pixels)
        logits = self.classifier.head(features).float()
        total = loss = self.objective(logits, targets)
        outputs = Outputs(pixels, features, logits, targets, images)
        values = {name: penalty(outputs, moment) for name, penalty in bound.items()}
        added = {name: value for name, value in values.items() if value is not None}
        for name, value in added.items():
            total = total + bound[name].weight * value
        return Minimised(logits, larger_share(targets), loss, added, total)

    def generator(self, moment: Moment, part: int = 0) -> torch.Generator:
        """Follows from seed, step and forward pass alone, and differs between processes."""
        said = f"{self.seed} {moment.step} {self.global_rank}" + (f" {part}" if part else "")
        digest = hashlib.sha256(said.encode()).digest()
        return torch.Generator().manual_seed(int.from_bytes(digest[:8], "little") >> 1)

    def validation_step(self, batch: Batch, batch_idx: int, dataloader_idx: int = 0) -> None:
        images, labels = batch
        logits = self(images).float()
        loss: Any = self.watched_loss[dataloader_idx]
        hits: Any = self.watched_hits[dataloader_idx]
        loss.update(F.cross_entropy(logits, labels), len(labels))
        hits.update(logits, labels)
        self.log(f"{self.watched[dataloader_idx]}/loss", loss, add_dataloader_idx=False)
        self.log_dict(hits, add_dataloader_idx=False)

    def on_validation_epoch_start(self) -> None:
        """Trained BatchNorm statistics differ among processes: all validate with their mean."""
        if self.trainer.world_size > 1 and moves_statistics(self.transfer.batch_norm):
            for buffer in self.classifier.buffers():
                if buffer.is_floating_point():
                    torch.distributed.all_reduce(buffer)
                    buffer /= self.trainer.world_size

    def on_validation_end(self) -> None:
        """What held-out pictures say is all that a part may know of how training goes."""
        if (loss := self.trainer.callback_metrics.get("val/loss")) is not None:
            self.validated += (float(loss),)
        if self.transfer.schedule.needs_validation:
            self.follow_validation()

    def configure_optimizers(self) -> Any:
        """The optimiser holds every layer group from the start, whatever is frozen when."""
        steps = int(self.trainer.estimated_stepping_batches)
        further = [p for p in self.penalties.parameters() if p.requires_grad]
        covered = [cast(BoundPenalty, penalty).covered for penalty in self.penalties.values()]
        groups = list(
            parameter_groups(
                self.classifier, self.transfer, self.factor, further, frozenset().union(*covered)
            )
        )
        optimiser = self.transfer.optimiser.build(groups)
        per_epoch = max(1, steps // self.epochs) if self.epochs else 1

        def factor(step: int) -> float:
            return self.transfer.schedule.factor(self.moment(step // per_epoch, step, steps))

        schedule = torch.optim.lr_scheduler.LambdaLR(optimiser, factor)
        return [optimiser], [{"scheduler": schedule, "interval": "step"}]

    def configure_gradient_clipping(
        self, optimizer: Any, gradient_clip_val: Any = None, gradient_clip_algorithm: Any = None
    ) -> None:
        """By the norm of all gradients together, or value by value. Lightning's own refuses a fused
        optimiser, which could hold scaled gradients; bf16 and fp32 have no scaler.

        The last that happens before a step, whose gradient is judged here."""
        parameters = [p for group in optimizer.param_groups for p in group["params"]]
        norm = torch.nn.utils.get_total_norm([p.grad for p in parameters if p.grad is not None])
        if not self.judge(whole(norm)):
            for parameter in parameters:
                parameter.grad = None  # what has none is not moved
        elif gradient_clip_val and gradient_clip_algorithm == "value":
            torch.nn.utils.clip_grad_value_(parameters, gradient_clip_val)
        elif gradient_clip_val:
            torch.nn.utils.clip_grads_with_norm_(parameters, gradient_clip_val, norm)
