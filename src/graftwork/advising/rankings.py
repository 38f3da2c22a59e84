"""Do rankings made before anything was trained agree with what was measured afterwards?

Kendall's tau, weighted so that a swap among the first counts more (Vigna 2015, WWW), which is how
such rankings are held against each other (You et al. 2021).
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from graftwork.advising.levelled import BAND

LEAST = 3  # networks of which one can say anything


@dataclass(frozen=True)
class Agreement:
    """Of one ranking with what was measured: weighted tau with a 95 % bootstrap interval."""

    ranking: str
    tau: float
    low: float
    high: float
    count: int  # of what was ranked


def agreements(
    rankings: Mapping[str, np.ndarray], scores: np.ndarray, drawn: np.ndarray, seed: int
) -> list[Agreement]:
    """Of every ranking that names `LEAST` or more; a NaN in it says that it knows nothing of one.

    What was ranked and the pictures that judged it are both drawn again.

    Args:
        rankings: by name; higher is better, `[ways]`.
        scores: what was measured, `[ways]`.
        drawn: the same on pictures that are drawn again, `[draws, ways]`.
    """
    generator, found = np.random.default_rng(seed), []
    for name, values in rankings.items():
        known = np.flatnonzero(np.isfinite(values) & np.isfinite(scores))
        if len(known) < LEAST:
            continue
        again = (generator.choice(known, len(known)) for _ in drawn)
        pairs = [(values[rows], one[rows]) for rows, one in zip(again, drawn, strict=True)]
        taus = [weighted_tau(*pair) for pair in pairs if len(set(pair[0])) > 1]
        tau, taus = weighted_tau(values[known], scores[known]), [t for t in taus if t == t]
        if tau == tau and taus:
            low, high = np.percentile(taus, BAND)
            found.append(Agreement(name, tau, float(low), float(high), len(known)))
    return found


def weighted_tau(values: np.ndarray, measured: np.ndarray) -> float:
    """1: the same order, -1: the opposite; NaN where all of one side are equal."""
    from scipy.stats import weightedtau

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        return float(weightedtau(values, measured).statistic)
