"""Networks: trained without the pictures that are held out, which then choose how much is kept."""

from __future__ import annotations

import numpy as np
import pandas as pd

from graftwork.data.folds import NEVER, most_typical
from graftwork.metrics.log_loss import log_losses
from graftwork.selecting.way import chosen_point
from graftwork.training.attempt import attempted
from graftwork.training.history import Row, Told
from graftwork.training.outcome import Outcome
from graftwork.training.source import Finetuned, Source


def choose_network(
    source: Source, test: pd.DataFrame | None, told: Told, rows: list[Row]
) -> Finetuned:
    """Trains, lets the held-out pictures choose, and trains on everything where that is wanted.

    Args:
        test: as of `finetune`.
        rows: curves so far.
    """
    fold = _fold(source)
    used = sorted(set(fold.tolist()) - {NEVER})
    watched = {} if test is None else {"test": test}
    shares = source.experiment.transfer.average.trained_shares
    attempts = [
        attempted(source, fold == which, watched, told, rows, shares)
        for which in used or [NEVER - 1]  # no picture has that fold: everything is fitted
    ]
    order = np.concatenate([np.flatnonzero(fold == which) for which in used] or [np.array([], int)])
    pooled = [
        np.concatenate(parts) for parts in zip(*(a.probabilities for a in attempts), strict=True)
    ]
    share, points = chosen_point(shares, pooled, source.held_out.labels[order])
    destroyed = any(attempt.trained.destroyed for attempt in attempts)
    chosen = dict(zip(shares, pooled, strict=True))[share]
    gone_back = [gone for attempt in attempts for gone in attempt.trained.gone_back]
    result = Outcome(source, fold, attempts, points, rows, gone_back)
    if destroyed or share == 0:
        return result.as_probe(destroyed)
    refit = source.experiment.trainer.refit_of(len(fold), len(used)) if used else "never"
    ends = {"on": result.trained_on, "again": result.trained_again, "never": result.as_trained}
    return ends[refit](share, (order, chosen), watched, told)


def first_fitted(source: Source) -> np.ndarray:
    """The pictures that the first training sees, booleans `[n]` of those that may be fitted."""
    fold = _fold(source)
    used = sorted(set(fold.tolist()) - {NEVER})
    return np.asarray(fold != used[0]) if used else np.ones(len(fold), bool)


def _fold(source: Source) -> np.ndarray:
    """What is held out of networks: each of several folds in turn, or the most typical one."""
    ways = source.held_out.network_folds
    used = set(ways[0].tolist()) - {NEVER}
    if source.experiment.selection.folds > 1 or len(used) < 2:
        return ways[0]
    hardness = np.full((len(ways[0]), 2), np.nan)
    if source.head is not None:
        known = ~np.isnan(source.head.held_out[:, 0])
        said, labels = source.head.held_out[known], source.held_out.labels[known]
        hardness[known] = np.stack([log_losses(said, labels), said.argmax(1) != labels], 1)
    return most_typical(ways, hardness)
