"""Networks: trained without the pictures that are held out, which then choose how much is kept."""

from __future__ import annotations

import numpy as np
import pandas as pd

from graftwork.data.folds import NEVER
from graftwork.selecting.way import chosen_point
from graftwork.training.attempt import attempted
from graftwork.training.history import History
from graftwork.training.outcome import Outcome
from graftwork.training.source import Finetuned, Source
from graftwork.training.typical import network_fold


def choose_network(source: Source, test: pd.DataFrame | None, history: History) -> Finetuned:
    """Trains, lets the held-out pictures choose, and trains on everything where that is wanted.

    Args:
        test: as of `finetune`.
    """
    fold = network_fold(source)
    used = sorted(set(fold.tolist()) - {NEVER})
    watched = {} if test is None else {"test": test}
    shares = source.experiment.transfer.average.trained_shares
    attempts = [
        attempted(source, fold == which, watched, history, shares)
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
    result = Outcome(source, fold, attempts, points, watched, history, gone_back)
    if destroyed or share == 0:
        return result.as_probe(destroyed)
    result = result.asked_of_new(share)
    refit = source.experiment.trainer.refit_of(len(fold), len(used)) if used else "never"
    ends = {"on": result.trained_on, "again": result.trained_again, "never": result.as_trained}
    return ends[refit](share, (order, chosen))


def first_fitted(source: Source) -> np.ndarray:
    """The pictures that the first training sees, booleans `[n]` of those that may be fitted."""
    fold = network_fold(source)
    used = sorted(set(fold.tolist()) - {NEVER})
    return np.asarray(fold != used[0]) if used else np.ones(len(fold), bool)
