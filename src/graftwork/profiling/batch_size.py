"""`trainer.batch_size=auto`: the largest batch that fits, and rates that mean the same.

The number follows from the machine's whole memory, not from what happens to be free, so that the
same machine gives the same number. Whatever the forecast lets through is tried in a process of its
own, where running out of memory harms nobody.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import psutil

from graftwork.config.errors import UserError
from graftwork.models.precision import chosen
from graftwork.profiling.measuring import training_peak
from graftwork.settings.trainer import AUTO, Trainer

if TYPE_CHECKING:
    from graftwork.experiment import Experiment

SMALLEST = 8  # images; all candidates are powers of two
LARGEST = {"cpu": 128, "cuda": 1024}  # beyond, a CPU gets no faster
LEAST_STEPS = 8  # an epoch; fewer teach too little
USED = 0.75  # of the memory: the forecast may err, and other programs live here too
CGROUP = Path("/sys/fs/cgroup/memory.max")


@dataclass(frozen=True)
class Found:
    """A batch size, and why."""

    images: int  # a forward pass
    peak: int  # bytes of some training steps, tried
    limit: int  # bytes that they may take
    rates: float  # factor of the strategy's rates

    @property
    def words(self) -> str:
        gib = 2**30
        return (
            f"trainer.batch_size: auto is {self.images} images a forward pass here "
            f"({self.peak / gib:.2f} GiB tried, of {self.limit / gib:.2f} that it may take); "
            f"rates times {self.rates:.3g}."
        )


def resolved(
    experiment: Experiment, num_classes: int, pictures: int
) -> tuple[Experiment, Found | None]:
    """The experiment with a number in place of `auto`, and what was found; None: it had one.

    Rates follow the number of images a step, with `trainer.accumulate` so many times as many, as
    the optimiser wants (`Optimiser.rate_growth`), from `trainer.rates_batch`, which they are for.
    Those that are shares of the weights stay: they say how far a step may go, whatever it is made
    of.

    Args:
        pictures: that are trained on.

    Raises:
        UserError: not even the smallest batch fits.
    """
    if experiment.trainer.batch_size != AUTO or not experiment.transfer.epochs:
        return experiment, None
    device = "cuda" if experiment.trainer.uses_gpu() else "cpu"
    limit = int(USED * memory(device))
    passes = experiment.trainer.accumulate
    for images in _candidates(pictures // passes, LARGEST[device]):
        trainer = replace(experiment.trainer, batch_size=images)
        if _forecast(experiment, num_classes, images, device) > limit:
            continue
        peak = _tried(experiment, replace(trainer, processes=1), num_classes)
        if peak is not None and peak <= limit:
            factor = _rates(experiment, images * passes)
            transfer = experiment.transfer
            transfer = replace(transfer, rates=transfer.rates.times(factor))
            found = Found(images, peak, limit, factor)
            return replace(experiment, trainer=trainer, transfer=transfer), found
    raise UserError(
        f"trainer.batch_size: auto finds none that fits into {limit / 2**30:.2f} GiB, three "
        "quarters of the memory. Say a smaller one (trainer.batch_size=2), or choose a smaller "
        "model, model.input_size or transfer/trainable."
    )


def memory(device: str) -> int:
    """All bytes that this process could have: of the GPU, or of the machine or its container."""
    if device == "cuda":
        import torch

        return int(torch.cuda.get_device_properties(0).total_memory)
    whole = int(psutil.virtual_memory().total)
    bound = CGROUP.read_text().strip() if CGROUP.is_file() else "max"
    return min(whole, int(bound)) if bound.isdecimal() else whole


def _candidates(pictures: int, largest: int) -> Iterator[int]:
    """Powers of two, the largest first; of few pictures the smallest is all there is."""
    most = max(SMALLEST, min(largest, pictures // LEAST_STEPS))
    images = 1 << (most.bit_length() - 1)
    while images >= SMALLEST:
        yield images
        images //= 2


def _forecast(experiment: Experiment, num_classes: int, images: int, device: str) -> int:
    from graftwork.profiling.memory import forecast

    classifier = experiment.model.build(num_classes, None)
    precision = chosen(experiment.trainer.precision, device == "cuda")
    transfer = experiment.transfer
    return forecast(classifier, transfer, batch_size=images, precision=precision).total


def _tried(experiment: Experiment, trainer: Trainer, num_classes: int) -> int | None:
    """Bytes at the peak of some steps; None: they came to no end."""
    try:
        return training_peak(
            experiment.model, experiment.transfer, trainer, num_classes=num_classes
        )
    except UserError:
        return None


def _rates(experiment: Experiment, images: int) -> float:
    transfer = experiment.transfer
    if transfer.rates.follow_weights:
        return 1.0
    return float((images / experiment.trainer.rates_batch) ** transfer.optimiser.rate_growth)
