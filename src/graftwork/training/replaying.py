"""A step that was not taken, run again: where its numbers end, and what the network saw."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import torch

from graftwork.training.guard import Guard, numbers_of
from graftwork.training.lightning import pl

if TYPE_CHECKING:
    from graftwork.training.graft_module import GraftModule


@dataclass(frozen=True)
class Layer:
    """The first whose output was not all numbers.

    Attributes:
        rows: of the step's pictures, those for which it was not; empty where the output does not
            tell them apart.
    """

    name: str
    kind: str
    wrong: int  # values that were none
    values: int
    rows: list[int]


@dataclass(frozen=True)
class Seen:
    """What one process found. Losses and norm are means over all processes."""

    loss: float
    total: float
    norm: float
    before: list[float]  # losses of the steps before
    layer: Layer | None  # None: every output was a number
    groups: list[str]  # layer groups whose gradient is none
    images: np.ndarray  # [B, S, S, 3] as the network saw them, or stored maps [B, ...]


class Reached(Exception):
    """The step was run; it is not taken."""

    def __init__(self, seen: Seen) -> None:
        super().__init__(f"loss {seen.loss}")
        self.seen = seen


class Replaying(pl.Callback):
    """Waits for one step of a training, looks at it, and ends the training by Reached.

    Args:
        record: as `record_of` wrote it.
    """

    def __init__(self, record: Mapping[str, Any]) -> None:
        self._epoch, self._done = record["epoch"], record["done"]
        self._layer: Layer | None = None
        self._images: list[np.ndarray] = []  # of each pass
        self._hooks: list[Any] = []

    def on_train_batch_start(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, batch: Any, batch_idx: int
    ) -> None:
        if (trainer.current_epoch, trainer.global_step) != (self._epoch, self._done):
            return
        module = cast("GraftModule", pl_module)
        part, (images, labels) = batch_idx % len(module.shares), batch
        generator = module.generator(module.now(), part)
        mixed, _ = module.objective.mix(images.clone(), labels, generator)
        self._images.append(mixed.cpu().numpy())
        if part == 0:
            module.judge = lambda norm: self._look(trainer, module, norm)
            self._hooks = [
                layer.register_forward_hook(self._watching(name.removeprefix("classifier.")))
                for name, layer in module.named_modules()
            ]

    def on_exception(self, *_: object) -> None:
        for hook in self._hooks:
            hook.remove()

    def _watching(self, name: str) -> Callable[..., None]:
        def look(layer: torch.nn.Module, _: object, output: object) -> None:
            if self._layer is None:
                first = sum(len(images) for images in self._images[:-1])
                self._layer = _wrong_in(name, layer, output, first)

        return look

    def _look(self, trainer: pl.Trainer, module: GraftModule, norm: torch.Tensor) -> bool:
        numbers = numbers_of(trainer, module, norm)
        callbacks = cast(Any, trainer).callbacks
        (guard,) = (each for each in callbacks if isinstance(each, Guard))
        groups = [
            group.name
            for group in module.classifier.layer_groups()
            if not all(_finite(p.grad) for p in module.classifier.parameters_of(group))
        ]
        images = np.concatenate(self._images)
        raise Reached(Seen(*numbers, guard.latest, self._layer, groups, images))


def _finite(gradient: torch.Tensor | None) -> bool:
    return gradient is None or bool(gradient.isfinite().all())


def _wrong_in(name: str, layer: torch.nn.Module, output: object, first: int) -> Layer | None:
    """None: all that it gave is numbers.

    Args:
        first: number of the pass's first picture among those of the step.
    """
    for tensor in output if isinstance(output, Sequence) else [output]:
        if not isinstance(tensor, torch.Tensor) or not tensor.is_floating_point():
            continue
        wrong = ~tensor.detach().isfinite()
        if wrong.any():
            rows = wrong.flatten(1).any(1).nonzero().flatten().tolist() if wrong.ndim > 1 else []
            rows = [first + int(row) for row in rows]
            return Layer(name, type(layer).__name__, int(wrong.sum()), wrong.numel(), rows)
    return None
