"""What is held out of networks: of all ways to deal one part, the most typical one.

How hard pictures are is asked of one probe, whatever the strategy: all strategies on one backbone
then hold out the same pictures, and what these say of two of them can be compared.
"""

from __future__ import annotations

import numpy as np

from graftwork.data.folds import NEVER, most_typical
from graftwork.features.feature_store import features_of
from graftwork.metrics.log_loss import log_losses
from graftwork.selecting.held_out import chooses_typical
from graftwork.training.source import Source
from graftwork.transfer.probe import cross_validated

# Of the probe: the middle of what data sets of ten to some hundred pictures a class speak for.
# Its figures choose no model, only which pictures will.
STRENGTH = 1e-4
STANDARDISE = 0.5


def network_fold(source: Source) -> np.ndarray:
    """`[n]`: each of several folds in turn, or 0 for the most typical part and `NEVER` elsewhere.

    Of random weights, whose features tell nothing, the first part is taken.
    """
    ways = source.held_out.network_folds
    used = set(ways[0].tolist()) - {NEVER}
    if source.experiment.selection.folds > 1 or len(used) < 2:
        return ways[0]  # all of them are used, or there is nothing to choose from
    return most_typical(ways, _hardness(source))


def _hardness(source: Source) -> np.ndarray:
    """`[n, 2]`: log loss and error of each picture by a probe that had not seen it; NaN: never."""
    labels, fold = source.held_out.labels, source.held_out.head_fold
    found = np.full((len(labels), 2), np.nan)
    if not chooses_typical(source.experiment):
        return found
    features = source.features
    if features is None:
        features = features_of(source.experiment, source.artifacts, source.held_out.rows)
    said = cross_validated(
        features, labels, source.num_classes,
        strength=STRENGTH, standardise=STANDARDISE, fold=fold,
    )  # fmt: skip
    known = fold != NEVER
    found[known, 0] = log_losses(said[known], labels[known])
    found[known, 1] = said[known].argmax(1) != labels[known]
    return found


def probe_top1(source: Source) -> float | None:
    """Top-1 of held-out pictures by that probe, a share; None of random weights."""
    wrong = _hardness(source)[:, 1]
    known = wrong[~np.isnan(wrong)]
    return float(1 - known.mean()) if len(known) else None
