"""Latency, throughput and energy of a classifier, measured in this process in about a second."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from graftwork.config.errors import check_choice, check_range
from graftwork.models.precision import chosen
from graftwork.profiling.energy import meter
from graftwork.profiling.timing import BUSY, UNDISTURBED, WARM, timed
from graftwork.settings.trainer import PRECISIONS

if TYPE_CHECKING:
    from graftwork.models.network.classifier import Classifier


@dataclass(frozen=True)
class Speed:
    """What predicting takes: from bytes of pixels to logits, without decoding.

    Times are those of the machine undisturbed: the lowest tenth of the runs.
    """

    latency_ms: float  # one picture alone
    latency_p95_ms: float  # of all runs
    images_per_s: float  # in batches of batch_size
    energy_mj_per_image: float  # in the same batches
    energy_source: str  # RAPL, NVML, or `estimate: ...` with its formula
    batch_size: int
    precision: str  # fp32 or bf16, as it was run
    device: str  # cpu or cuda
    machine: str  # in words, whether other programs disturbed it: see graftwork.profiling.timing

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


def quick_speed(
    classifier: Classifier, *, batch_size: int = 32, precision: str = "auto", seconds: float = 1.0
) -> Speed:
    """Measures a loaded classifier where it lies, all threads of torch at work.

    channels_last and inference mode; warm runs alone are timed, half of the time for single
    pictures and half for batches, at least five runs of each. Mode and weights are left as they
    are.

    Args:
        precision: auto, fp32 or bf16; see graftwork.models.precision.
        seconds: about how long.

    Raises:
        UserError: an illegal batch size, precision or time.
    """
    check_settings(batch_size, precision, seconds)
    device = next(classifier.parameters()).device.type
    on_gpu = device == "cuda"
    precision = chosen(precision, on_gpu)
    was_training = classifier.training
    classifier.eval()
    try:
        single = predicting(classifier, 1, precision, device)
        alone = timed(single, seconds / 2, sleeps=on_gpu)
        batches = predicting(classifier, batch_size, precision, device)
        batches()
        counted = meter(on_gpu=on_gpu)
        counted.start()
        together = timed(batches, seconds / 2, sleeps=on_gpu)
        joules = counted.joules()
    finally:
        classifier.train(was_training)
    images = (len(together.took) + WARM) * batch_size
    return Speed(
        latency_ms=1000 * alone.low,
        latency_p95_ms=1000 * float(np.quantile(alone.took, 0.95)),
        images_per_s=batch_size / together.low,
        energy_mj_per_image=1000 * joules / images,
        energy_source=counted.source,
        batch_size=batch_size,
        precision=precision,
        device=device,
        machine=BUSY if BUSY in (alone.machine, together.machine) else UNDISTURBED,
    )


def check_settings(batch_size: int, precision: str, seconds: float) -> None:
    """Raises UserError for what cannot be measured."""
    check_range("batch_size", batch_size, 1)
    check_choice("precision", precision, PRECISIONS)
    check_range("seconds", seconds, 0, low_open=True)


def predicting(
    classifier: Classifier, batch_size: int, precision: str, device: str
) -> Callable[[], None]:
    """What is timed: one forward pass on noise, from bytes of pixels to logits."""
    side = classifier.input_spec.size
    noise = np.random.default_rng(0).integers(0, 256, (batch_size, side, side, 3), np.uint8)
    pixels = torch.from_numpy(noise).to(device)

    def run() -> None:
        half = torch.autocast(device, torch.bfloat16, enabled=precision == "bf16")
        with torch.inference_mode(), half:
            classifier(classifier.normalise(pixels))
        if device == "cuda":
            torch.cuda.synchronize()

    return run
