"""The one construction of Lightning's Trainer."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from graftwork.models.precision import chosen
from graftwork.process import distributed
from graftwork.process.cores import cores
from graftwork.settings.trainer import Trainer
from graftwork.training.lightning import pl


def lightning(
    settings: Trainer,
    epochs: int,
    callbacks: Sequence[Any],
    root: Path,
    steps: int | None = None,
    passes: int = 1,
) -> pl.Trainer:
    """The one Trainer: no logger, no checkpoints and no folders of its own.

    Args:
        epochs: of the strategy; `limit_epochs` may shorten them.
        steps: at most so many; None: as many as the epochs have.
        passes: forward passes a step.
        callbacks: pytorch_lightning callbacks.
        root: folder of the experiment.
    """
    on_gpu = settings.uses_gpu()
    bf16 = chosen(settings.precision, on_gpu) == "bf16"
    return pl.Trainer(
        accelerator="gpu" if on_gpu else "cpu",
        devices=(here := distributed.processes_here_of(settings.processes)),
        num_nodes=max(1, settings.processes // here),
        strategy=_several_processes(settings, on_gpu) if settings.processes > 1 else "auto",
        precision="bf16-mixed" if bf16 else "32-true",
        max_epochs=settings.epochs_of(epochs),
        max_steps=-1 if steps is None else steps,
        limit_train_batches=settings.limit_batches and settings.limit_batches * passes,
        accumulate_grad_batches=passes,
        gradient_clip_val=settings.gradient_clip or None,
        gradient_clip_algorithm=settings.clip_by,
        # A GPU has operators without a deterministic form; elsewhere they are an error.
        deterministic="warn" if on_gpu else True,
        callbacks=list(callbacks),
        default_root_dir=root,
        use_distributed_sampler=False,
        num_sanity_val_steps=0,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
    )


def _several_processes(settings: Trainer, on_gpu: bool) -> Any:
    common: dict[str, Any] = {
        "process_group_backend": "nccl" if on_gpu else "gloo", "timeout": distributed.timeout()
    }  # fmt: skip
    if settings.sharded:
        return pl.strategies.ModelParallelStrategy(
            data_parallel_size=settings.processes, tensor_parallel_size=1, **common
        )
    # Validation gives processes different numbers of batches: nothing may be broadcast there.
    return pl.strategies.DDPStrategy(broadcast_buffers=False, **common)


def share_cores(processes: int) -> None:
    """Gives each process its share of the cores; more threads than cores only spin."""
    import torch

    if processes > 1:
        torch.set_num_threads(max(1, cores() // processes))


@contextmanager
def quiet() -> Iterator[None]:
    """Without Lightning's advice to people who chose otherwise on purpose."""
    import logging

    logger = logging.getLogger("pytorch_lightning")
    before = logger.level
    logger.setLevel(logging.WARNING)
    with warnings.catch_warnings():
        for message in (
            ".*does not have many workers",
            "The number of training batches .* is smaller than the logging interval",
            ".*isinstance\\(treespec, LeafSpec\\)",
            ".*GPU available but not used",
            "The `srun` command is available",
            "Total length of `list` across ranks is zero",  # training without validation
            ".*in eval mode at the start of training",  # frozen modules are
            "FSDP2-wrapped module .* returned a view tensor",  # which nothing changes in place
            "You're resuming from a checkpoint that ended before",  # the order passes over batches
        ):
            warnings.filterwarnings("ignore", message)
        try:
            yield
        finally:
            logger.setLevel(before)
