"""What a model says of pictures that it looks at several times, beside what one look says.

The views are those of graftwork.augmentations.fixed_views. Averaged are probabilities, not logits:
a view that is sure counts no more than one that is not.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from graftwork.evaluating.answering import Answering, answering
from graftwork.evaluating.probabilities import by_features, needs_network
from graftwork.evaluating.scoring import measure, paired
from graftwork.process import distributed
from graftwork.process.progress import count_bar

if TYPE_CHECKING:
    import pandas as pd

    from graftwork.augmentations.fixed_views import FixedView
    from graftwork.experiment import Experiment
    from graftwork.storage.artifacts import Artifacts

SPACE = "mean of the views' probabilities"
CHOOSES = "the selection score is of one view"


@dataclass(frozen=True)
class Looked:
    """Probabilities `[n, num_classes]` of pictures, float32, and what they cost."""

    one: np.ndarray  # by what evaluation sees
    mean: np.ndarray  # over all views; the same where there is one
    views: int
    mirrors: tuple[str, ...]  # ways in which some views are mirrored
    seconds_one: float  # a network that is asked is loaded before
    seconds: float  # of all views
    engine: dict[str, Any] | None  # how the network is run; None: stored features were enough


def looked(experiment: Experiment, artifacts: Artifacts, frame: pd.DataFrame) -> Looked:
    """Looks at pictures as often as `evaluation.views` says.

    Under torchrun every process must call it, and every process gets all rows.

    Args:
        frame: rows of the manifest, at least one.
    """
    from graftwork.augmentations.fixed_views import fixed_views

    mirrors = experiment.augmentation.mirrors
    views = fixed_views(mirrors)[: experiment.evaluation.views]
    needed = needs_network(artifacts)
    network = answering(experiment, artifacts, frame) if needed or len(views) > 1 else None
    begun = time.perf_counter()
    with distributed.joined():  # once: processes cannot part and meet again for every view
        if needed and network is not None:
            one = network.probabilities(frame)
        else:
            one = by_features(experiment, artifacts, frame)
        seconds_one = time.perf_counter() - begun
        total = one.astype(np.float64)
        if network is not None and len(views) > 1:
            total += _further(network, frame, views[1:])
    mean = (total / len(views)).astype(np.float32) if len(views) > 1 else one
    used = {mirror for view in views for mirror in view.mirrored}
    return Looked(
        one=one,
        mean=mean,
        views=len(views),
        mirrors=tuple(mirror for mirror in mirrors if mirror in used),
        seconds_one=seconds_one,
        seconds=time.perf_counter() - begun,
        engine=None if network is None else network.entry,
    )


def _further(network: Answering, frame: pd.DataFrame, views: Sequence[FixedView]) -> np.ndarray:
    """The sum of the views' probabilities, by the network: no features of them are stored."""
    total: Any = 0.0
    with count_bar("Views of the pictures", len(views), distributed.rank() == 0) as seen:
        for number, view in enumerate(views, 1):
            total = total + network.probabilities(frame, view)
            seen(number)
    return np.asarray(total)


def views_entry(experiment: Experiment, found: Looked, labels: np.ndarray) -> dict[str, Any] | None:
    """What several views gain, and what they cost, as metrics.json has it; None for one view.

    Returns:
        count, space, mirrors, selection (what chooses by), and for `one` view and `all` of them
        seconds and images_per_second; `one`: the scores by one view; `gain`: the metrics by all
        views minus those by one, paired, with their intervals.
    """
    if found.views == 1:
        return None
    seconds = {"one": found.seconds_one, "all": found.seconds}
    evaluation = experiment.evaluation
    return {
        "count": found.views,
        "space": SPACE,
        "mirrors": list(found.mirrors),
        "selection": CHOOSES,
        "seconds": seconds,
        "images_per_second": {name: len(labels) / spent for name, spent in seconds.items()},
        "one": measure(evaluation, found.one, labels, experiment.seed),
        "gain": paired(evaluation, found.mean, found.one, labels, experiment.seed),
    }
