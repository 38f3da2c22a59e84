"""What ways usually gain, fitted on tables of all ways: the constants of the adviser.

The largest likelihood of the tables' test scores under the adviser's own beliefs before anything is
measured (graftwork.advising.rules), with the chance of the test pictures, which all ways share, as
noise.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial

import numpy as np

from graftwork.advising.rules import STRATEGIES, Gains, Way, before, log_odds

Table = Mapping[Way, np.ndarray]  # which pictures of the test are recognised, [n]
# Ways, the log-odds of their scores, and the covariance of these by the chance of the pictures.
Seen = tuple[list[Way], np.ndarray, np.ndarray]
SPREADS = ("side", "network", "trained", "strategy", "way")
LEAST = 0.05  # log-odds: no standard deviation is known to be smaller, from so few tables


def fitted(tables: Sequence[Table]) -> Gains:
    """Of these tables together."""
    from scipy.optimize import minimize

    networks = sorted({way.network for table in tables for way in table})
    count = len(STRATEGIES) + 1 + len(networks)
    start = np.array([0.0] * count + [np.log(0.2)] * len(SPREADS))
    bounds = [(-2.0, 2.0)] * count + [(np.log(LEAST), np.log(2.0))] * len(SPREADS)
    gains = partial(_gains, networks)
    seen = [_seen(table) for table in tables]
    found = minimize(lambda x: -_likelihood(gains(x), seen), start, bounds=bounds)
    return gains(found.x)


def _gains(networks: Sequence[str], values: np.ndarray) -> Gains:
    usual, spreads = np.split(values, [-len(SPREADS)])
    doubling, strategies, others = np.split(usual, [1, 1 + len(STRATEGIES)])
    return Gains(
        strategies=dict(zip(STRATEGIES, strategies.tolist(), strict=True)),
        networks=dict(zip(networks, (others - others.mean()).tolist(), strict=True)),
        doubling=float(doubling[0]),
        **dict(zip(SPREADS, np.exp(spreads).tolist(), strict=True)),
    )


def _seen(table: Table) -> Seen:
    right = np.stack(list(table.values())).astype(float)
    pictures = right.shape[1]
    share = (right.sum(axis=1) + 0.5) / (pictures + 1)
    slope = share * (1 - share)
    noise = np.cov(right) / pictures / np.outer(slope, slope)
    return list(table), log_odds(right.mean(axis=1), pictures), noise


def _likelihood(gains: Gains, tables: Sequence[Seen]) -> float:
    """Its logarithm."""
    from scipy.stats import multivariate_normal

    total = 0.0
    for ways, said, noise in tables:
        prior = before(ways, gains)
        total += multivariate_normal.logpdf(said, prior.mean, prior.covariance + noise)
    return float(total)
