"""Training behind frozen layers: from stored maps, against running those layers in every epoch."""

from __future__ import annotations

import shutil
import statistics
import time
from dataclasses import dataclass

from benchmarks.workplace import NEW_HEAD, Workplace, parameters, ratio, told
from graftwork.data import manifest

EPOCHS, SIZE = 10, 160
NETWORKS = {  # the last group of each, and what it starts from
    "resnet18": ("layer4", "random"),
    "efficientnet_lite0": ("blocks.6", "registry"),
}


@dataclass(frozen=True)
class Run:
    """One training."""

    seconds: float
    top1: float  # of the test photos


def stored_against_live(place: Workplace, repeats: int, model: str, views: int) -> str:
    """Seconds of training the last group, storing included, and top-1; a seed each round.

    Args:
        views: of each photo; 1: without augmentation.
    """
    rounds = [
        [_run(place, model, views, seed, prefix) for prefix in ("live", "stored")]
        for seed in range(repeats)
    ]
    live, stored = ([runs[at] for runs in rounds] for at in (0, 1))
    times = [[run.seconds for run in runs] for runs in (live, stored)]
    group, start = NETWORKS[model]
    faster = told(ratio(*times))
    top1 = [[100 * run.top1 for run in runs] for runs in (live, stored)]
    differences = [after - before for before, after in zip(*top1, strict=True)]
    return (
        f"{model} ({start} weights) at {SIZE} px, {group} and head trained for {EPOCHS} epochs, "
        f"{views} views a photo, seconds: frozen layers run in every epoch {told(times[0])}, maps "
        f"stored {told(times[1])}\n"
        f"  live / stored: {faster}; top-1 {told(top1[0])} and {told(top1[1])} %, difference "
        f"{statistics.mean(differences):+.1f} points on average, seeds of one differ by "
        f"{max(top1[0]) - min(top1[0]):.1f}"
    )


def _run(place: Workplace, model: str, views: int, seed: int, prefix: str) -> Run:
    """From prepared pictures and an empty store of maps to trained weights."""
    from graftwork.evaluating.probabilities import network_logits
    from graftwork.training import attempt, fitting
    from graftwork.training.course import TrainingRows
    from graftwork.training.history import History

    for kind in ("prefixes", "networks"):
        shutil.rmtree(place.folder / "store" / kind, ignore_errors=True)
    group, start = NETWORKS[model]
    experiment = parameters(
        place.folder, f"model={model}", f"model.input_size={SIZE}", "transfer=fine_tune",
        f"transfer/start={start}", "transfer/trainable=from_group", *NEW_HEAD,
        f"transfer.trainable.first={group}", f"transfer.epochs={EPOCHS}", "transfer.least_steps=0",
        f"augmentation={'none' if views == 1 else 'standard'}", f"extraction.views={views}",
        f"extraction.prefix={prefix}", f"seed={seed}", "trainer.accelerator=cpu",
    )  # fmt: skip
    photos = manifest.read(place.artifacts.manifest)
    fit, val, test = (manifest.of_split(photos, split) for split in ("train", "val", "test"))
    classes = int(photos.label.max()) + 1
    classifier = attempt.new_classifier(experiment, place.artifacts, None, classes)
    start_time = time.perf_counter()
    rows = TrainingRows(fit, {"val": val})
    fitting.train(experiment, place.artifacts, classifier, rows, classes, History.unheard())
    seconds = time.perf_counter() - start_time
    said = network_logits(experiment, place.artifacts, classifier, test)
    return Run(seconds, float((said.argmax(1) == test["label"].to_numpy()).mean()))
