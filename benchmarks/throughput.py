"""Throughput: extraction against the bare engine, a training step against a bare loop."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import numpy as np

from benchmarks.workplace import NEW_HEAD, Workplace, alternating, parameters, ratio, told
from graftwork.data import manifest
from graftwork.features.feature_store import frozen_network
from graftwork.storage.artifacts import Artifacts

if TYPE_CHECKING:
    from graftwork.experiment import Experiment
    from graftwork.models.network.classifier import Classifier

STEPS, EPOCHS = 20, 2  # long enough that starting and ending do not count
KEPT = 5  # steps between checkpoints, where what they cost is measured


def extraction_against_engine(place: Workplace, repeats: int, size: int) -> str:
    """Images/s of the whole pass over the pictures, and of the engine on tensors in memory."""
    from graftwork.data.images import DecodedImages
    from graftwork.features.engines.loading import Picture, batches
    from graftwork.features.engines.streaming import stream

    experiment = parameters(place.folder, f"model.input_size={size}")
    network = frozen_network(experiment, place.artifacts)
    frame = manifest.usable(manifest.read(place.artifacts.manifest))
    pictures = [Picture(*pair) for pair in zip(frame.sha256, frame.path, strict=True)]
    batch = experiment.extraction.batch_size
    kept = DecodedImages(place.artifacts, experiment.dataset)
    memory = [b.images for b in batches(pictures, kept, network.input_spec, batch)]
    verdict = network.verdict(memory[0], batch)
    engine = network.engine(verdict.engine, verdict.precision)

    def bare() -> float:
        return _rate(len(pictures), lambda: [engine(images) for images in memory])

    def whole(images: DecodedImages) -> float:
        passed = stream(engine, pictures, images, network.input_spec, batch)
        return _rate(len(pictures), lambda: [np.asarray(row).sum() for _, row in passed])

    nothing_stored = Artifacts.at(place.folder, shared=place.folder / "empty")
    fresh = DecodedImages(nothing_stored, experiment.dataset)
    bare()
    alone, stored, decoding = alternating(repeats, bare, lambda: whole(kept), lambda: whole(fresh))
    return (
        f"features at {size} px, {verdict.engine} {verdict.precision}, images/s: engine alone "
        f"{told(alone, 0)}, from the decoded store {told(stored, 0)}, decoding files "
        f"{told(decoding, 0)}\n"
        f"  of the engine alone: {told(ratio(stored, alone), 2)} from the store, "
        f"{told(ratio(decoding, alone), 2)} decoding"
    )


def _rate(count: int, work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    return count / (time.perf_counter() - start)


def step_against_loop(place: Workplace, repeats: int, size: int) -> str:
    """Seconds of a fine-tuning step (loading and augmenting included), of a bare loop's, and of a
    checkpoint."""
    from graftwork.training import attempt, fitting
    from graftwork.training.course import TrainingRows
    from graftwork.training.history import History
    from graftwork.training.resuming.legs import Legs

    experiment = parameters(
        place.folder, f"model.input_size={size}", f"trainer.limit_batches={STEPS}",
        f"transfer.epochs={EPOCHS}", "transfer.least_steps=0", *NEW_HEAD, "trainer.accelerator=cpu",
    )  # fmt: skip
    frame = manifest.of_split(manifest.read(place.artifacts.manifest), "train")
    classes, rows = int(frame.label.max()) + 1, TrainingRows(frame, {})
    classifier = attempt.new_classifier(experiment, place.artifacts, None, classes)

    def ours(legs: Legs | None = None) -> float:
        start = time.perf_counter()
        fitting.train(
            experiment, place.artifacts, classifier, rows, classes, History.unheard(), legs=legs
        )
        return (time.perf_counter() - start) / (STEPS * EPOCHS)

    def kept() -> float:
        with TemporaryDirectory(dir=place.folder) as folder:
            return ours(Legs(Path(folder), None, KEPT, None))

    bare = bare_loop(experiment, classifier, classes)
    bare(True)
    loop, plain, step, keeping = alternating(
        repeats, lambda: bare(True), lambda: bare(False), ours, kept
    )
    return (
        f"fine-tuning step at {size} px, batch {experiment.trainer.images_a_pass}, milliseconds: "
        f"bare loop {_milliseconds(loop)} (without folded BatchNorm {_milliseconds(plain)}), "
        f"graftwork {_milliseconds(step)}\n"
        f"  graftwork / bare loop: {told(ratio(step, loop), 2)}\n"
        f"  {_of_a_checkpoint(step, keeping, -(-len(frame) // experiment.trainer.images_a_pass))}"
    )


def bare_loop(
    experiment: Experiment, classifier: Classifier, classes: int
) -> Callable[[bool], float]:
    """Seconds a step of a plain PyTorch loop over pictures in memory, with BatchNorm folded or not,
    in the same precision and layout and with the same parameters trained."""
    import torch
    from torch.nn import functional as F

    from graftwork.models.network.folding import foldable
    from graftwork.models.precision import chosen
    from graftwork.training.fast_forward import fast_forward
    from graftwork.training.graft_module import GraftModule
    from graftwork.training.parameter_groups import parameter_groups

    size, batch = classifier.input_spec.size, experiment.trainer.images_a_pass
    images = torch.randint(0, 255, (STEPS, batch, size, size, 3), dtype=torch.uint8)
    labels = torch.randint(0, classes, (STEPS, batch))
    bf16 = chosen(experiment.trainer.precision, on_gpu=False) == "bf16"

    def seconds(folded: bool) -> float:
        classifier.train()
        GraftModule(classifier, experiment.transfer, classes)  # freezes as the strategy says
        groups = list(parameter_groups(classifier, experiment.transfer))
        optimiser = torch.optim.AdamW(groups, fused=True)
        pairs = foldable(classifier) if folded else []
        with fast_forward(classifier, fold=pairs, depthwise_fp32=bf16):
            start = time.perf_counter()
            for x, y in zip(images, labels, strict=True):
                with torch.autocast("cpu", torch.bfloat16, enabled=bf16):
                    logits = classifier(classifier.normalise(x))
                loss = F.cross_entropy(logits.float(), y, label_smoothing=0.1)
                optimiser.zero_grad()
                loss.backward()
                torch.nn.utils.clip_grad_norm_(classifier.parameters(), 1.0)
                optimiser.step()
            return (time.perf_counter() - start) / STEPS

    return seconds


def _milliseconds(seconds: Sequence[float]) -> str:
    return told([1000 * value for value in seconds], 0)


def _of_a_checkpoint(without: Sequence[float], with_: Sequence[float], steps: int) -> str:
    """What it costs, of seconds a step without any and with one every KEPT steps.

    Args:
        steps: of an epoch, at whose end one is written.
    """
    from graftwork.training.resuming.legs import SHARE

    written = [KEPT * (b - a) for a, b in zip(without, with_, strict=True)]
    shares = [100 * a / (steps * b) for a, b in zip(written, without, strict=True)]
    return (
        f"a checkpoint, written every {KEPT} steps, takes {_milliseconds(written)} ms: "
        f"{told(shares, 2)} % of an epoch of {steps} steps; trainings that it would cost more than "
        f"{100 * SHARE:g} % write fewer"
    )
