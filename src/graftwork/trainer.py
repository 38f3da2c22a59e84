"""The one Trainer construction, and its settings."""

from __future__ import annotations

from dataclasses import dataclass

from graftwork.components import Component
from graftwork.errors import check_choice, check_range

PRECISIONS = ("auto", "fp32", "bf16")
SELECTIONS = ("auto", "best", "last")


@dataclass(frozen=True)
class Trainer(Component):
    """How training runs: machine matters, not the strategy."""

    name: str
    batch_size: int  # images a step, over all processes together
    precision: str  # auto: the fastest that this machine does well
    gradient_clip: float  # largest norm of all gradients together; 0: off
    processes: int  # one a device; more than one starts torchrun
    accelerator: str  # auto, cpu, gpu
    workers: int  # loader processes; 0: load in the training process
    selection: str  # best: by validation; last: fit train and val together; auto: see README
    min_val: int  # pictures that validation must have for `auto` to trust it
    patience: int  # epochs without improvement before stopping early; 0: never
    limit_epochs: int | None  # at most this many epochs
    limit_batches: int | None  # at most this many steps an epoch, and pictures x batch in tests

    def __post_init__(self) -> None:
        check_range("batch_size", self.batch_size, 1)
        check_choice("precision", self.precision, PRECISIONS)
        check_range("gradient_clip", self.gradient_clip, 0)
        check_range("processes", self.processes, 1)
        check_choice("accelerator", self.accelerator, ("auto", "cpu", "gpu"))
        check_range("workers", self.workers, 0)
        check_choice("selection", self.selection, SELECTIONS)
        check_range("min_val", self.min_val, 1)
        check_range("patience", self.patience, 0)
        for name in ("limit_epochs", "limit_batches"):
            if (value := getattr(self, name)) is not None:
                check_range(name, value, 1)
