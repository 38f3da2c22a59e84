"""How training runs: the fields of conf/trainer."""

from __future__ import annotations

from dataclasses import dataclass

from graftwork.config.components import Component
from graftwork.config.errors import UserError, check_choice, check_range

PRECISIONS = ("auto", "fp32", "bf16")
AUTO = "auto"
CLIPPED = ("norm", "value")
RESUMES = ("auto", "never")
REFITS = ("auto", "on", "again", "never")
SKIP = "skip"
DIVERGENCES = ("stop", SKIP)
COMPILES = ("auto", "on", "off")


@dataclass(frozen=True)
class Trainer(Component):
    """How training runs: machine matters, not the strategy."""

    name: str
    batch_size: int | str  # images a forward pass, of all processes together; auto: what fits
    accumulate: int  # forward passes a step: their gradients make one, as of one large batch
    rates_batch: int  # images a step that the strategy's rates are meant for; only auto asks
    precision: str  # auto: the fastest that this machine does well
    compile: str  # the network, by torch.compile; auto: on GPUs, in trainings that are long enough
    gradient_clip: float  # the most that gradients may be; 0: off
    clip_by: str  # of that, norm: of all gradients together; value: of each number
    processes: int  # one a device; more than one starts torchrun
    sharded: bool  # each of several holds a share of every weight, not all (FSDP)
    accelerator: str  # auto, cpu, gpu
    workers: int  # loader processes; 0: load in the training process
    loader_timeout: float  # seconds that those may take for a batch; 0: for ever
    group_timeout: float  # seconds that several processes may wait for one of them
    refit: str  # with held-out pictures too: on from what they chose, again; auto: see refit_below
    refit_below: int  # pictures, fewer than which auto trains on; else what chose is kept
    refit_epochs: int  # of training on
    refit_rate: float  # of training on, as a share of the strategy's rates
    watch_test: bool  # test/loss and test/top1 after each epoch: for curves, chooses nothing
    on_divergence: str  # a loss or gradient that is no number: stop, or skip that step
    loss_spike: float | None  # such is a loss so many times the first, too; null: never
    patience: int  # epochs without improvement before stopping early, where they choose; 0: never
    limit_epochs: int | None  # at most this many: a training of so many, schedule and all
    limit_batches: int | None  # at most this many steps an epoch
    checkpoint_minutes: float | None  # between checkpoints within an epoch; one ends with one
    checkpoint_steps: int | None  # likewise in steps; both null: no checkpoints
    resume: str  # auto: a training that was cut goes on where it stopped; never: it begins anew

    def __post_init__(self) -> None:
        self._check_batch()
        check_range("accumulate", self.accumulate, 1)
        check_range("rates_batch", self.rates_batch, 1)
        check_choice("precision", self.precision, PRECISIONS)
        check_choice("compile", self.compile, COMPILES)
        check_range("gradient_clip", self.gradient_clip, 0)
        check_choice("clip_by", self.clip_by, CLIPPED)
        check_range("processes", self.processes, 1)
        self._check_sharded()
        check_choice("accelerator", self.accelerator, ("auto", "cpu", "gpu"))
        check_range("workers", self.workers, 0)
        check_range("loader_timeout", self.loader_timeout, 0)
        check_range("group_timeout", self.group_timeout, 0, low_open=True)
        check_choice("refit", self.refit, REFITS)
        check_range("refit_below", self.refit_below, 0)
        check_range("refit_epochs", self.refit_epochs, 1)
        check_range("refit_rate", self.refit_rate, 0, low_open=True)
        check_choice("on_divergence", self.on_divergence, DIVERGENCES)
        if self.loss_spike is not None:
            check_range("loss_spike", self.loss_spike, 1, low_open=True)
        check_range("patience", self.patience, 0)
        if self.checkpoint_minutes is not None:
            check_range("checkpoint_minutes", self.checkpoint_minutes, 0, low_open=True)
        check_choice("resume", self.resume, RESUMES)
        for name in ("limit_epochs", "limit_batches", "checkpoint_steps"):
            if (value := getattr(self, name)) is not None:
                check_range(name, value, 1)

    def _check_batch(self) -> None:
        size, processes = self.batch_size, self.processes
        if isinstance(size, str):
            if size != AUTO:
                raise UserError(
                    f"batch_size: {size!r} has the wrong type. Legal: a whole number, or {AUTO}."
                )
            if processes > 1:
                raise UserError(
                    f"batch_size: {AUTO} is found by one process, and {processes} are wanted. "
                    "Legal: a number (trainer.batch_size=32), or trainer.processes=1."
                )
            return
        check_range("batch_size", size, 1)
        if processes > 0 and size % processes:
            raise UserError(
                f"batch_size: {size} cannot be shared evenly by {processes} "
                f"processes. Legal: a multiple of {processes} (trainer.processes)."
            )

    def _check_sharded(self) -> None:
        """What needs all of the weights in one process."""
        if not self.sharded:
            return
        for wrong, why, legal in (
            (self.processes < 2, "one process has nothing to share out", "trainer.processes=2"),
            (
                self.keeps_checkpoints,
                "a training of shares cannot go on bit for bit, so no checkpoints are kept",
                "trainer.checkpoint_minutes=null trainer.checkpoint_steps=null",
            ),
            (self.compile != "off", "blocks change size while they run", "trainer.compile=off"),
        ):
            if wrong:
                raise UserError(f"sharded: true, but {why}. Choose {legal}, or trainer=ddp.")

    @property
    def keeps_checkpoints(self) -> bool:
        return self.checkpoint_minutes is not None or self.checkpoint_steps is not None

    @property
    def images_a_pass(self) -> int:
        """`batch_size` as a number.

        Raises:
            UserError: it is `auto`, which is found when training begins.
        """
        if isinstance(self.batch_size, str):
            raise UserError(
                f"trainer.batch_size: {AUTO} is not known before training begins. Say a number "
                "here, such as trainer.batch_size=32."
            )
        return self.batch_size

    def uses_gpu(self) -> bool:
        """Whether training runs on GPUs.

        Raises:
            UserError: a GPU is wanted, or several, and this machine has fewer.
        """
        import torch

        from graftwork.process import distributed

        count = torch.cuda.device_count() if torch.cuda.is_available() else 0
        if self.accelerator == "gpu" and not count:
            raise UserError(
                "trainer.accelerator: gpu, but torch sees none here. Legal: auto, cpu "
                "(`graftwork doctor` shows the devices)."
            )
        if self.accelerator == "cpu" or not count:
            return False
        if distributed.processes_here_of(self.processes) > count:
            raise UserError(
                f"trainer.processes: {self.processes}, but there are {count} GPUs. Legal: at "
                f"most {count}, or trainer.accelerator=cpu."
            )
        return True

    def epochs_of(self, epochs: int) -> int:
        """So many epochs, or the fewer that `limit_epochs` lets be."""
        return min(epochs, self.limit_epochs or epochs)

    def refit_of(self, pictures: int, trainings: int) -> str:
        """What `refit` comes to for so many pictures: on, again or never.

        Args:
            trainings: that chose, each without a part of the pictures; of several none can go on.
        """
        if trainings > 1:
            return "again"
        if self.refit == "auto":
            return "on" if pictures < self.refit_below else "never"
        return self.refit
