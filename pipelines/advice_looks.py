"""What the adviser looks at besides experiments: photos, null models, LogME, more labels."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import pandas as pd

from graftwork.advising import photos
from graftwork.advising.learning_curve import DRAWS, SHARES, learning_curve
from graftwork.advising.logme import logme
from graftwork.advising.null_models import SIDE, null_answers
from graftwork.advising.power_law import Gain, fitted
from graftwork.config.errors import UserError
from graftwork.data import manifest
from graftwork.data.folds import NEVER
from graftwork.data.images import DecodedImages
from graftwork.features.engines.loading import Picture, batches
from graftwork.features.feature_store import features_of
from graftwork.models.base import InputSpec
from graftwork.selecting.held_out import held_out
from graftwork.selecting.stored_match import stored
from graftwork.training.source import examples_of
from graftwork.transfer.parts import Examples
from pipelines.advice_jobs import Clock, Measured

MORE = 2.0  # times the labels
BATCH = 256  # pictures
SHARE = 0.1  # of the budget, at most
FITS = 1 + DRAWS * sum(SHARES[:-1])  # of whole heads that a learning curve comes to


@dataclass
class Look:
    """What was seen, as far as there was time."""

    data: list[str] = field(default_factory=list)  # sentences
    nulls: dict[str, pd.Series] = field(default_factory=dict)  # who recognises what, by sha256
    logme: list[float] = field(default_factory=list)  # of the probes
    more: Gain | None = None  # what twice the labels would bring


def look(seen: Look, best: Measured, probes: Sequence[Measured], clock: Clock) -> None:
    """Fills `seen`: what costs little first, all of it in `SHARE` of the budget.

    Args:
        best: the probe through whose network the photos are looked at.
    """
    selection, head = best.experiment.selection, best.experiment.transfer.head_init
    end = min(clock.end, clock.spent + SHARE * clock.budget)
    with clock.until(end):
        rows, examples = examples_seen(best)
        features, most = examples.features, selection.max_pictures
        seen.data += photos.about(rows, features, selection.duplicate_cosine, most)
        for one in probes:
            _, known = examples_seen(one)
            some = np.random.default_rng(0).permutation(len(known.labels))[:most]
            found = logme(known.features[some], known.labels[some], known.num_classes)
            seen.logme.append(found)
        for name, right in null_answers(head, examples, _images(best, rows)).items():
            seen.nulls[name] = pd.Series(right, rows["sha256"])
        seen.data += _similarity(best, features)
        if clock.spent + FITS * best.stage("finetune") <= end:
            points = learning_curve(head, examples)
            seen.more = fitted(points, MORE * points[-1].labels, examples.seed)[1]


def on_shared_folds(probes: Sequence[Measured], clock: Clock) -> pd.DataFrame:
    """How often each probe is right, `[pictures by sha256, probes]`, on folds that all share.

    The folds of every probe in turn serve all, the best one's first, as long as there is time.
    """
    rows, begun = examples_seen(probes[0])[0], clock.spent
    seen = [examples_seen(one)[1] for one in probes]
    best_first = sorted(range(len(probes)), key=lambda place: -probes[place].score)
    folds = {seen[place].fold.tobytes(): seen[place].fold for place in best_first}
    said: list[list[np.ndarray]] = [[] for _ in probes]
    for number, fold in enumerate(folds.values()):
        if number and (clock.spent - begun) * (number + 1) / number > SHARE * clock.budget:
            break
        for one, examples, right in zip(probes, seen, said, strict=True):
            fit = one.experiment.transfer.head_init.fit(replace(examples, fold=fold))
            hit = fit.held_out.argmax(axis=1) == examples.labels
            right.append(np.where(fold == NEVER, np.nan, hit))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # pictures that are never held out
        means = [np.nanmean(right, axis=0) for right in said]
    return pd.DataFrame(np.transpose(means), rows["sha256"])


def examples_seen(probe: Measured) -> tuple[pd.DataFrame, Examples]:
    """As the probe itself saw them; features and folds are read from the store."""
    experiment, artifacts = probe.experiment, probe.artifacts
    classes = len(manifest.read_classes(artifacts.classes))

    def features(rows: pd.DataFrame) -> np.ndarray:
        return features_of(experiment, artifacts, rows)

    frame = manifest.read(artifacts.manifest)
    chosen = held_out(experiment, frame, classes, features, stored(artifacts.folds))
    return chosen.rows, examples_of(experiment, chosen, features(chosen.rows), classes)


def _images(probe: Measured, rows: pd.DataFrame) -> np.ndarray:
    """uint8 `[n, SIDE, SIDE, 3]`."""
    spec = InputSpec(SIDE, (0.5,) * 3, (0.5,) * 3, "bilinear", 1.0)
    pictures = [Picture(*pair) for pair in zip(rows["sha256"], rows["path"], strict=True)]
    images = DecodedImages(probe.artifacts, probe.experiment.dataset)
    found = [batch.images[: len(batch.keys)] for batch in batches(pictures, images, spec, BATCH)]
    return np.concatenate(found)


def _similarity(probe: Measured, features: np.ndarray) -> list[str]:
    """A sentence, where the network's file has a classifier."""
    from graftwork.training.at_hand import pretrained_whole

    try:
        head = pretrained_whole(probe.experiment, probe.artifacts).head
    except UserError:
        return []
    tensors = {name: tensor.detach().double().numpy() for name, tensor in head.named_parameters()}
    weight = tensors["weight"].reshape(-1, features.shape[1])
    return [f"{probe.way.network}: {photos.similarity(features, weight, tensors['bias'])}."]
