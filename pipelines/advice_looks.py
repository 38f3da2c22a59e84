"""What the adviser looks at besides experiments: photos, null models, LogME, more labels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from graftwork.advising.data_facts import Similarity, facts, similarity
from graftwork.advising.learning_curve import DRAWS, SHARES, learning_curve
from graftwork.advising.logme import logme
from graftwork.advising.null_models import SIDE, null_answers
from graftwork.advising.power_law import Gain, fitted
from graftwork.config.errors import UserError
from graftwork.data import manifest
from graftwork.data.images import DecodedImages
from graftwork.features.engines.loading import Picture, batches
from graftwork.features.feature_store import features_of
from graftwork.models.base import InputSpec
from graftwork.selecting.held_out import HeldOut, held_out
from graftwork.selecting.stored_match import stored
from graftwork.training.source import examples_of
from graftwork.transfer.parts import Examples
from pipelines.advice_jobs import Clock, Measured

MORE = 2.0  # times the labels
BATCH = 256  # pictures
SHARE = 0.15  # of the budget, at most
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
    experiment, seed = best.experiment, best.experiment.seed
    begun, share = clock.spent, SHARE * clock.budget
    with clock.until(min(clock.end, begun + share)):
        chosen, examples = _examples(best)
        selection = experiment.selection
        seen.data += facts(
            chosen.rows, examples.features, selection.duplicate_cosine, selection.max_pictures, seed
        ).sentences()
        head = experiment.transfer.head_init
        for name, right in null_answers(head, examples, _images(best, chosen.rows)).items():
            seen.nulls[name] = pd.Series(right, chosen.rows["sha256"]).dropna()
        found = _similarity(best, examples.features)
        seen.data += [f"{best.training.way.network}: {found}."] if found else []
        for one in probes:
            seen.logme.append(_logme(one))
        if FITS * best.stage("finetune") <= share - (clock.spent - begun):
            points = learning_curve(head, examples)
            seen.more = fitted(points, MORE * points[-1].labels, seed)[1]


def _logme(probe: Measured) -> float:
    """Of its network, at its size, on as many pictures as selection looks at."""
    _, examples = _examples(probe)
    most = probe.experiment.selection.max_pictures
    some = np.random.default_rng(probe.experiment.seed).permutation(len(examples.labels))[:most]
    return logme(examples.features[some], examples.labels[some], examples.num_classes)


def _examples(probe: Measured) -> tuple[HeldOut, Examples]:
    """As the probe itself saw them; features and folds are read from the store."""
    experiment, artifacts = probe.experiment, probe.artifacts
    classes = len(manifest.read_classes(artifacts.classes))

    def features(rows: pd.DataFrame) -> np.ndarray:
        return features_of(experiment, artifacts, rows)

    frame = manifest.read(artifacts.manifest)
    chosen = held_out(experiment, frame, classes, features, stored(artifacts.folds))
    return chosen, examples_of(experiment, chosen, features(chosen.rows), classes)


def _images(probe: Measured, rows: pd.DataFrame) -> np.ndarray:
    """uint8 `[n, SIDE, SIDE, 3]`."""
    spec = InputSpec(SIDE, (0.5,) * 3, (0.5,) * 3, "bilinear", 1.0)
    pictures = [Picture(*pair) for pair in zip(rows["sha256"], rows["path"], strict=True)]
    images = DecodedImages(probe.artifacts, probe.experiment.dataset)
    found = [batch.images[: len(batch.keys)] for batch in batches(pictures, images, spec, BATCH)]
    return np.concatenate(found)


def _similarity(probe: Measured, features: np.ndarray) -> Similarity | None:
    from graftwork.training.at_hand import pretrained_whole

    try:
        head = pretrained_whole(probe.experiment, probe.artifacts).head
    except UserError:
        return None
    tensors = {name: tensor.detach().double().numpy() for name, tensor in head.named_parameters()}
    return similarity(features, tensors["weight"].reshape(-1, features.shape[1]), tensors["bias"])
