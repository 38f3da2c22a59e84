"""Evaluation of the project's own trained network: against the bare engine, and eager float32."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from benchmarks.workplace import alternating, ratio, told
from graftwork.config.errors import UserError
from graftwork.data import manifest
from graftwork.evaluating.answering import ByEngine, Eager
from graftwork.evaluating.probabilities import needs_network
from graftwork.experiment import Experiment
from graftwork.features.engines.loading import Picture, batches
from graftwork.storage.artifacts import Artifacts


def evaluation_against_engine(project: Path, repeats: int) -> str:
    """Images/s of the test split's answers, and of the engine on tensors in memory.

    Raises:
        UserError: there is no trained network in the project.
    """
    artifacts = Artifacts.at(project)
    if not artifacts.model.is_dir() or not needs_network(artifacts):
        raise UserError(f"{artifacts.model}: no network was trained here. Run `make repro` first.")
    experiment = Experiment.from_file(artifacts.params)
    wanted = replace(experiment.evaluation, engine="auto")
    experiment = replace(experiment, evaluation=wanted)
    frame = manifest.of_split(manifest.read(artifacts.manifest), "test")
    network = ByEngine(experiment, artifacts, frame)
    pictures = [Picture(*pair) for pair in zip(frame.sha256, frame.path, strict=True)]
    batch = experiment.extraction.batch_size
    memory = [b.images for b in batches(pictures, network.images, network.input_spec, batch)]

    def rate(work: Callable[[], object]) -> float:
        start = time.perf_counter()
        work()
        return len(frame) / (time.perf_counter() - start)

    def bare() -> float:
        return rate(lambda: [network.engine(images) for images in memory])

    found = network.logits(frame).argmax(axis=1)  # and what it loads for near ties
    alone, whole = alternating(repeats, bare, lambda: rate(lambda: network.logits(frame)))
    eager = Eager(experiment, artifacts, frame)
    begun = time.perf_counter()
    expected = eager.logits(frame).argmax(axis=1)
    slow = len(frame) / (time.perf_counter() - begun)
    differing = int((found != expected).sum())
    entry = network.entry
    return (
        f"evaluation, {entry['engine']} {entry['precision']}, images/s: engine alone "
        f"{told(alone, 0)}, evaluating {told(whole, 0)}, eager float32 {slow:.0f}\n"
        f"  of the engine alone: {told(ratio(whole, alone), 2)}; answers that differ from eager "
        f"float32: {differing} of {len(frame)}"
    )
