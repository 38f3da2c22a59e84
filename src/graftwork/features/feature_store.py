"""The feature store: write and read frozen features.

Features are keyed by content (see graftwork.features.engines.keys): an added picture is the only
one that is run, and experiments that share a backbone share one pass over the pictures. Whoever
needs features asks `features_of`, which runs what the store lacks, be it everything.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from graftwork.storage.artifacts import Artifacts

if TYPE_CHECKING:
    import pandas as pd

    from graftwork.experiment import Experiment
    from graftwork.features.engines.choosing import Verdict
    from graftwork.features.engines.frozen import FrozenNetwork
    from graftwork.features.engines.loading import Picture
    from graftwork.storage.array_store import ArrayStore


def needed(experiment: Experiment) -> bool:
    """Whether the strategy looks at stored features at all."""
    return experiment.transfer.head_init.needs_features


def features_of(experiment: Experiment, artifacts: Artifacts, frame: pd.DataFrame) -> np.ndarray:
    """Features of these pictures; what the store lacks, or holds damaged, is run first.

    Args:
        frame: rows of the manifest (columns `sha256` and `path`).

    Returns:
        float32 `[len(frame), num_features]`, a copy in memory, in the frame's order.
    """
    store, _ = _filled(experiment, artifacts, frame, read=True)
    if not len(frame):
        return np.zeros((0, frozen_network(experiment, artifacts).num_features), np.float32)
    return store.rows(list(frame["sha256"]))


def extract(experiment: Experiment, artifacts: Artifacts, *, test: bool = True) -> dict[str, Any]:
    """Features of every picture of the manifest that counts, into the store.

    Photos without labels are among them.

    Args:
        test: those of the test, too.

    Returns:
        the receipt: key of the store, count, how many were run now, seconds (loading the engine
        excluded), images_per_second, engine, precision, cosine, num_features.
    """
    from graftwork.data import manifest

    frame = manifest.seen(manifest.read(artifacts.manifest))
    if not test:
        frame = frame[frame["split"] != "test"].reset_index(drop=True)
    return _filled(experiment, artifacts, frame)[1]


def frozen_network(experiment: Experiment, artifacts: Artifacts) -> FrozenNetwork:
    """The frozen backbone: its `input_spec`, `num_features` and `tensors()`.

    Imports torch only if this backbone has never been built in this project.
    """
    from graftwork.features.engines.frozen import FrozenNetwork

    return FrozenNetwork(experiment, artifacts)


def _filled(
    experiment: Experiment, artifacts: Artifacts, frame: pd.DataFrame, *, read: bool = False
) -> tuple[ArrayStore, dict[str, Any]]:
    """The store, holding every picture of the frame, and the receipt.

    Args:
        read: the features are about to be read: none of them may be damaged.
    """
    from graftwork.data.images import DecodedImages
    from graftwork.features.engines.keys import feature_key
    from graftwork.features.engines.loading import Picture
    from graftwork.storage.array_store import ArrayStore

    network = frozen_network(experiment, artifacts)
    pairs = zip(frame["sha256"], frame["path"], strict=True)
    pictures = [Picture(sha256, path) for sha256, path in pairs]
    verdict = network.verdict_of(pictures, DecodedImages(artifacts, experiment.dataset))
    key = feature_key(network.key, verdict.engine, verdict.precision, experiment)
    store = ArrayStore(artifacts.features / key, "float32")
    count, seconds = 0, 0.0
    if store.missing((picture.sha256 for picture in pictures), read=read):
        with store.writing():  # another process may have run them while this one waited
            missing = set(store.missing(picture.sha256 for picture in pictures))
            todo = list({p.sha256: p for p in pictures if p.sha256 in missing}.values())
            if todo:
                count, seconds = _run(experiment, artifacts, network, verdict, todo, store)
    receipt = {
        "key": key,
        "count": len(pictures),
        "extracted": count,
        "seconds": round(seconds, 3),
        "images_per_second": round(count / seconds, 1) if seconds else None,
        "engine": verdict.engine,
        "precision": verdict.precision,
        "cosine": verdict.cosine,
        "num_features": network.num_features,
    }
    return store, receipt


def _run(
    experiment: Experiment,
    artifacts: Artifacts,
    network: FrozenNetwork,
    verdict: Verdict,
    pictures: Sequence[Picture],
    store: ArrayStore,
) -> tuple[int, float]:
    """Streams the pictures through the engine into the store. Returns count and seconds."""
    from graftwork.data.images import DecodedImages
    from graftwork.features.engines.streaming import stream

    experiment.dataset.warn_if_enlarged(network.input_spec)
    engine = network.engine(verdict.engine, verdict.precision)
    images = DecodedImages(artifacts, experiment.dataset)
    size = experiment.extraction.batch_size
    start = time.perf_counter()
    count = store.append(stream(engine, pictures, images, network.input_spec, size))
    return count, time.perf_counter() - start
