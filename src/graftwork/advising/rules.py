"""How the adviser decides. Numbers in, decisions out: it reads, trains and prints nothing.

1. Ways. A network, the side of the pictures that it sees, a strategy. A network is tried at its own
   size and at four sevenths of it (128 px of 224): a third of the arithmetic, and often nearly the
   accuracy (Touvron et al. 2019, arXiv 1906.06423).
2. Beliefs. The log-odds of top-1 of all ways are jointly normal: how much a doubled side, or
   training through the network, usually gains over a probe, and how far that differs from task to
   task, network to network and way to way (`Gains`). What was measured here, probes and trainings,
   updates all of them by its precision. So ways that were never tried have an expectation and an
   error, too (linear mixed model: Laird and Ware 1982, Biometrics 38).
3. Precision. Held-out photos are few: their chance, as they are drawn again, is the noise, with
   what all ways share of it; to each difference half a photo is added (Agresti and Min 2005).
4. Next. The way whose measurement is expected to raise what the recommended one is worth by most a
   second (the knowledge gradient: Frazier et al. 2009, INFORMS J. Computing 21(4)), among those
   that are forecast to end within the budget. Probes first, while the best is one.
5. Choice. The highest expectation, tried or not: what is not needs no time.
6. Null models. Where what is chosen is not ahead of colours and small pixels by more than two
   standard errors, the advice says so: then the photos are told apart by something simpler.
7. Rankings. One by which networks were ranked before is believed on this data where the interval of
   its weighted tau against what was measured is above zero.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

SMALL, STEP, LEAST = 4 / 7, 32, 64  # share of a network's size; px
PROBE = "linear_probe"
STRATEGIES = ("lp_ft", "fine_tune")  # that train through the network
ERRORS = 2.0  # that what is chosen must be ahead of a null model by
BAND = 1.96  # standard deviations: 95 %
LEVEL = 3.0  # log-odds, sd of how hard a task is: 0.3 to 99.7 % of the photos, so nothing is known
NODES, WEIGHTS = np.polynomial.hermite_e.hermegauss(31)


@dataclass(frozen=True)
class Gains:
    """What ways usually gain, and standard deviations of it; all in log-odds of top-1."""

    strategies: Mapping[str, float]  # over the probe; of others: the mean of these
    networks: Mapping[str, float]  # over the mean of these; of others: 0
    doubling: float  # of the side of the pictures
    side: float  # sd of `doubling`, from task to task
    network: float  # sd of how good a network is for a task
    trained: float  # sd of the gains of all strategies, from task to task
    strategy: float  # the same of each by itself
    way: float  # sd of what is left


# Fitted by `python -m benchmarks advise --tasks cifar10_10 cat_dog groceries_15 fashion_20
# small_flowers groceries_5 --networks efficientnet_lite0 mobilenetv2` (gains.json in its folder) on
# 71 ways at 48 and 64 px, before lp_ft of few photos took as many steps as fine_tune.
GAINS = Gains(
    strategies={"lp_ft": 0.175, "fine_tune": 0.273},
    networks={"efficientnet_lite0": -0.023, "mobilenetv2": 0.023},
    doubling=0.413, side=0.244, network=0.100, trained=0.071, strategy=0.050, way=0.077,
)  # fmt: skip


@dataclass(frozen=True)
class Way:
    """A network, the side of the pictures that it sees (px), and a strategy."""

    network: str
    size: int
    strategy: str

    def by(self, strategy: str) -> Way:
        return Way(self.network, self.size, strategy)

    def __str__(self) -> str:
        return f"{self.strategy} of {self.network} at {self.size} px"


@dataclass(frozen=True)
class Beliefs:
    """Of the log-odds of all ways: their means `[n]` and covariance `[n, n]`."""

    mean: np.ndarray
    covariance: np.ndarray

    def after(self, seen: Sequence[int], said: np.ndarray, noise: np.ndarray) -> Beliefs:
        """With what was measured.

        Args:
            seen: rows of `k` ways.
            said: log-odds that were measured, `[k]`.
            noise: their covariance, `[k, k]`.
        """
        cross = self.covariance[:, seen]
        weight = np.linalg.solve(cross[seen] + noise, cross.T).T
        mean = self.mean + weight @ (said - self.mean[seen])
        return Beliefs(mean, self.covariance - weight @ cross.T)

    def share(self, row: int, sigmas: float = 0.0) -> float:
        """Top-1 that is expected, or so many standard deviations above it."""
        return _share(self.mean[row] + sigmas * self.covariance[row, row] ** 0.5)

    def behind(self, best: int, other: int) -> tuple[float, float]:
        """Difference best - other as shares, and its standard error."""
        found, slope = self.share(best) - self.share(other), self.share(best)
        variance = self.covariance[[best, best, other], [best, other, other]] @ (1, -2, 1)
        return found, slope * (1 - slope) * max(0.0, float(variance)) ** 0.5

    def worth(self, row: int, pictures: float) -> float:
        """What is expected to be won by measuring a way: log-odds of what is then recommended.

        Args:
            pictures: that would be held out.
        """
        share = self.share(row)
        noise = 1 / max(1.0, pictures * share * (1 - share))
        moves = self.covariance[row] / (self.covariance[row, row] + noise) ** 0.5
        found = (self.mean + np.outer(NODES, moves)).max(axis=1) @ WEIGHTS / WEIGHTS.sum()
        return float(found - self.mean.max())


def before(ways: Sequence[Way], gains: Gains, heads: Sequence[str] = (PROBE,)) -> Beliefs:
    """What is believed before anything is measured.

    Args:
        heads: strategies that train nothing but a head.
    """
    side = np.log2([way.size for way in ways])
    side -= side.max()
    trained = np.array([way.strategy not in heads for way in ways])
    usual = float(np.mean(list(gains.strategies.values())))
    gain = [gains.strategies.get(way.strategy, usual) for way in ways] * trained
    networks = np.array([way.network for way in ways])
    strategies = np.array([way.strategy for way in ways])
    both = np.outer(trained, trained)
    covariance = (
        LEVEL**2
        + gains.side**2 * np.outer(side, side)
        + gains.network**2 * np.equal.outer(networks, networks)
        + gains.trained**2 * both
        + gains.strategy**2 * both * np.equal.outer(strategies, strategies)
        + gains.way**2 * np.eye(len(ways))
    )
    mean = gains.doubling * side + gain + [gains.networks.get(way.network, 0.0) for way in ways]
    return Beliefs(mean, covariance)


@dataclass(frozen=True)
class Standing:
    """Where a way stands: what is expected of it, tried or not."""

    way: Way
    score: float  # top-1 that is expected on new photos, a share
    low: float  # of a 95 % band
    high: float
    behind: float  # of the highest expectation
    error: float  # standard error of that difference
    seconds: float  # all stages; of what was not tried: forecast
    tried: bool  # here, whole


def log_odds(share: np.ndarray, pictures: np.ndarray | float) -> np.ndarray:
    """Of shares of so many pictures; half a picture is added on both sides."""
    right = np.clip(share, 0, 1) * pictures + 0.5
    return np.log(right / (pictures + 1 - right))


def noise_of(drawn: np.ndarray, pictures: np.ndarray) -> np.ndarray:
    """Covariance `[k, k]` of measured log-odds.

    Args:
        drawn: shares on pictures that are drawn again, `[draws, k]`.
        pictures: on which each way was compared, `[k]`; half a one more differs each way.
    """
    share = (drawn.mean(axis=0) * pictures + 0.5) / (pictures + 1)
    odds = log_odds(drawn, pictures)
    floor = 1 / (pictures * share * (1 - share)) ** 2
    return np.cov(odds, rowvar=False).reshape(len(floor), -1) + np.diag(floor)


def sizes(own: int) -> tuple[int, ...]:
    """At which a network is tried, the cheaper first.

    Args:
        own: side of the pictures that it was pretrained on, px.
    """
    small = STEP * round(SMALL * own / STEP)
    return (small, own) if LEAST <= small < own else (own,)


def next_way(
    beliefs: Beliefs, seconds: Mapping[int, float], pictures: Mapping[int, float], left: float
) -> int | None:
    """The row that is measured next; None where nothing more fits.

    Args:
        seconds: forecast, of the rows that may be measured.
        pictures: that would be held out.
        left: seconds.
    """
    fits = [row for row, forecast in seconds.items() if forecast <= left]
    value = {row: beliefs.worth(row, pictures[row]) / max(seconds[row], 1e-3) for row in fits}
    return max(fits, key=lambda row: (value[row], -seconds[row]), default=None)


def choice(standings: Sequence[Standing]) -> tuple[Standing, Standing | None]:
    """What is recommended, and the runner-up.

    Args:
        standings: at least one.
    """
    first, *others = sorted(standings, key=lambda one: (-one.score, one.seconds))
    return first, next(iter(others), None)


def is_beyond(ahead: float, error: float) -> bool:
    """Whether what is chosen is better than a null model, by their paired difference."""
    return ahead > ERRORS * error


def is_believed(low: float) -> bool:
    """Whether a ranking is, by the lower end of its tau."""
    return low > 0


def _share(odds: float) -> float:
    return float(1 / (1 + np.exp(-odds)))
