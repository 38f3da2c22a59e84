"""The one LightningModule: every strategy trains through it."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch.nn import functional as F

from graftwork.config.errors import UserError
from graftwork.training.lightning import pl, torchmetrics

if TYPE_CHECKING:
    from graftwork.models.classifier import Classifier
    from graftwork.training.datamodule import Batch
    from graftwork.transfer.strategy import Transfer


class Diverged(UserError):
    """The loss, or a weight, is no number any more."""

    def __init__(self, what: str, step: int) -> None:
        super().__init__(
            f"training diverged: {what}. Nothing of it was kept. Lower the learning rate "
            "(transfer.rates), lengthen transfer.warmup, or set trainer.precision=fp32."
        )
        self.step = step


def check_finite(classifier: Classifier, step: int) -> None:
    """Raises Diverged unless every weight and buffer is a number."""
    for name, tensor in classifier.state_dict().items():
        if not tensor.isfinite().all():
            raise Diverged(f"{name} holds values that are no numbers", step)


@dataclass(frozen=True)
class Objective:
    """What a batch gave."""

    logits: torch.Tensor  # float32 [B, num_classes]
    loss: torch.Tensor  # of the classifier
    auxiliary: torch.Tensor | None  # sum of the auxiliary classifiers' losses
    total: torch.Tensor  # what is minimised


class GraftModule(pl.LightningModule):
    """A classifier, trained as a transfer strategy says.

    Logs `train/loss`, `train/top1`, `val/loss` (without label smoothing), `val/top1` and, with
    more than five classes, `val/top5`, once an epoch; the same of `test` where the data shows
    test pictures, whose numbers nothing here reads. What is minimised is `train/loss` plus, where
    the network has auxiliary classifiers, their weight times `train/auxiliary_loss`, the sum of
    their losses (Szegedy et al. 2014, section 5). Sums and counts are added over all processes,
    so that N of them report what one would.
    """

    def __init__(
        self,
        classifier: Classifier,
        transfer: Transfer,
        num_classes: int,
        watched: Sequence[str] = ("val",),
        factor: float = 1.0,
    ) -> None:
        super().__init__()
        self.factor = factor  # of all learning rates
        self.classifier = classifier
        self.transfer = transfer
        self.watched = tuple(watched)  # splits, in the order of the validation loaders
        self.group_names = [group.name for group in classifier.layer_groups()[:-1]]
        self.configure_metrics(num_classes)
        self.freeze_for(epoch=0)  # wrong group names show before any data is read

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
        self.auxiliary_loss = mean()
        top_k = (1, 5) if num_classes > 5 else (1,)
        self.watched_loss = torch.nn.ModuleList(mean() for _ in self.watched)
        self.watched_hits = torch.nn.ModuleList(hits(split, *top_k) for split in self.watched)

    def freeze_for(self, epoch: int) -> None:
        """What this epoch trains. Follows from the epoch alone, so that no history is needed."""
        trained = self.transfer.trainable.groups(self.group_names, epoch)
        self.classifier.freeze(trained, self.transfer.batch_norm)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """uint8 `[B, S, S, 3]` to logits `[B, num_classes]`."""
        return self.classifier(self.classifier.normalise(images))

    def on_train_epoch_start(self) -> None:
        self.freeze_for(self.current_epoch)
        self.classifier.train()  # Lightning keeps whatever mode it finds

    def training_step(self, batch: Batch, batch_idx: int) -> torch.Tensor:
        images, labels = batch
        found = self.objective(images, labels)
        self.train_loss.update(found.loss.detach(), len(labels))
        self.train_hits.update(found.logits.detach(), labels)
        self.log("train/loss", self.train_loss, on_step=False, on_epoch=True)
        self.log_dict(self.train_hits, on_step=False, on_epoch=True)
        if found.auxiliary is not None:
            self.auxiliary_loss.update(found.auxiliary.detach(), len(labels))
            self.log("train/auxiliary_loss", self.auxiliary_loss, on_step=False, on_epoch=True)
        return found.total

    def objective(self, images: torch.Tensor, labels: torch.Tensor) -> Objective:
        """What training minimises on a batch; changes nothing."""
        logits, further = self.classifier.training_logits(self.classifier.normalise(images))
        logits = logits.float()
        loss = self.smoothed(logits, labels)
        heads = self.classifier.auxiliary
        if heads is None or not further:
            return Objective(logits, loss, None, loss)
        auxiliary = torch.stack([self.smoothed(one.float(), labels) for one in further]).sum()
        return Objective(logits, loss, auxiliary, loss + heads.weight * auxiliary)

    def smoothed(self, logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        """The loss that training minimises."""
        return F.cross_entropy(logits, labels, label_smoothing=self.transfer.label_smoothing)

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
        if self.trainer.world_size > 1 and self.transfer.batch_norm == "trained":
            for buffer in self.classifier.buffers():
                if buffer.is_floating_point():
                    torch.distributed.all_reduce(buffer)
                    buffer /= self.trainer.world_size

    def configure_optimizers(self) -> Any:
        """AdamW over every layer group from the start, whatever is frozen when."""
        steps = int(self.trainer.estimated_stepping_batches)
        groups = list(parameter_groups(self.classifier, self.transfer, self.factor))
        optimiser = torch.optim.AdamW(groups, fused=True)  # a third of the time, or less
        warmup = self.transfer.warmup * steps
        schedule = torch.optim.lr_scheduler.LambdaLR(
            optimiser, lambda step: rate_factor(step, steps, warmup)
        )
        return [optimiser], [{"scheduler": schedule, "interval": "step"}]

    def configure_gradient_clipping(
        self, optimizer: Any, gradient_clip_val: Any = None, gradient_clip_algorithm: Any = None
    ) -> None:
        """By the norm of all gradients together. Lightning's own refuses a fused optimiser, which
        could hold scaled gradients; bf16 and fp32 have no scaler."""
        if gradient_clip_val:
            parameters = [p for group in optimizer.param_groups for p in group["params"]]
            torch.nn.utils.clip_grad_norm_(parameters, gradient_clip_val)


def rate_factor(step: int, steps: int, warmup: float) -> float:
    """Share of the peak learning rate at a step: linear warm-up, then a cosine to 0.

    Args:
        step: from 0.
        steps: of the whole training.
        warmup: steps until the peak; more than `steps` never reaches it.
    """
    if step < warmup:
        return (step + 1) / (math.floor(warmup) + 1)
    return 0.5 * (1 + math.cos(math.pi * min(1.0, (step - warmup) / max(1.0, steps - warmup))))


def parameter_groups(
    classifier: Classifier, transfer: Transfer, factor: float = 1.0
) -> Iterator[dict[str, Any]]:
    """The optimiser's groups, head first: one rate a layer group, or a tensor where rates follow
    from the weights; biases, normalisation and what the backbone's authors exempt are not decayed.

    Args:
        factor: of all rates.
    """
    exempt = classifier.no_weight_decay()
    for depth, group in enumerate(reversed(classifier.layer_groups())):
        named = list(zip(group.parameters, classifier.parameters_of(group), strict=True))
        members: dict[tuple[float, bool], list[torch.nn.Parameter]] = {}
        for name, parameter in named:
            decayed = parameter.ndim > 1 and name not in exempt
            rate = factor * transfer.rates.of(depth, root_mean_square(parameter))
            members.setdefault((rate, decayed), []).append(parameter)
        for (rate, decayed), parameters in members.items():
            decay = transfer.regulariser.weight_decay if decayed else 0.0
            yield {"params": parameters, "lr": rate, "weight_decay": decay}


def root_mean_square(parameter: torch.Tensor) -> float:
    """The size of a tensor's values; 0 on the meta device, where there are none."""
    if parameter.is_meta:
        return 0.0
    return float(parameter.detach().float().square().mean().sqrt())
