"""How the adviser decides. Numbers in, decisions out: it reads, trains and prints nothing.

1. Sizes. A network is probed at its own size and at four sevenths of it (128 px of 224): a third of
   the arithmetic, and often nearly the accuracy (Touvron et al. 2019, arXiv 1906.06423).
2. Probes first. A linear probe on stored features is the cheapest thing that looks at this data.
   The small sizes come first, then the large ones of the networks that did best. Probes may take
   two thirds of the time, and leave enough for a whole training of the best so far; where that does
   not fit anyway, they may take all. They are held against each other on folds that all share.
3. Order of trainings. By the probe, and by how good a strategy usually is: `STRATEGIES` is in the
   order of docs/strategy_table.md. The two orders are merged by the sum of the places in them.
4. Halving. What is trained is trained for a quarter of the epochs first; the best quarter of what
   was is then trained whole, as soon as it is known: asynchronous successive halving (Li et al.
   2020, "A System for Massively Parallel Hyperparameter Tuning", MLSys; eta = 4).
5. Budget. Nothing is begun that is not forecast to end in it, and time for the whole training of
   the one that leads is kept back until that is done. A budget too small for it trains nothing.
6. Choice. Among probes and whole trainings: the highest score on held-out pictures. One that costs
   less is taken instead where it is behind by less than a standard error of the paired difference
   and by less than a point: with few held-out pictures an error alone may be several.
7. Null models. Where what is chosen is not ahead of colours and small pixels by more than two
   standard errors, the advice says so: then the photos are told apart by something simpler.
8. Rankings. One by which networks were ranked before is believed on this data where the interval of
   its weighted tau against what was measured is above zero.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

SMALL, STEP, LEAST = 4 / 7, 32, 64  # share of a network's size; px
STRATEGIES = ("lp_ft", "fine_tune")  # that train through the network, the usually better first
PROBE = "linear_probe"
ETA = 4
PROBE_SHARE = 2 / 3  # of the time, at most
POINT = 0.01
ERRORS = 2.0  # that what is chosen must be ahead of a null model by


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
class Training:
    """A way, and how many epochs of it."""

    way: Way
    epochs: int


@dataclass(frozen=True)
class Standing:
    """Where a probe or a whole training stands."""

    way: Way
    score: float  # top-1 of held-out pictures, a share
    behind: float  # of the highest score, on the pictures that both answered
    error: float  # standard error of that difference
    seconds: float  # all stages

    @property
    def is_close(self) -> bool:
        """Whether it is as good as the best for all that can be told."""
        return self.behind <= min(self.error, POINT)


def sizes(own: int) -> tuple[int, ...]:
    """At which a network is probed, the cheaper first.

    Args:
        own: side of the pictures that it was pretrained on, px.
    """
    small = STEP * round(SMALL * own / STEP)
    return (small, own) if LEAST <= small < own else (own,)


def may_probe(forecast: float, training: float, spent: float, end: float) -> bool:
    """Whether a further probe is begun; all in seconds.

    Args:
        forecast: of the probe.
        training: of a whole training of the best so far.
        end: when all must be done.
    """
    if spent + training > end:
        return spent + forecast <= end
    return spent + forecast <= min(PROBE_SHARE * end, end - training)


def order(probed: Sequence[tuple[Way, float]], strategies: Sequence[str]) -> list[Way]:
    """What is worth training, the most promising first.

    Args:
        probed: probes with their scores.
        strategies: the usually better first.
    """
    best = [way for way, _ in sorted(probed, key=lambda one: -one[1])]
    places = [
        (place + rank, rank, way.by(strategy))
        for place, way in enumerate(best)
        for rank, strategy in enumerate(strategies)
    ]
    return [way for *_, way in sorted(places, key=lambda one: one[:2])]


def next_training(
    ordered: Sequence[Way],
    short: dict[Way, float],
    whole: Sequence[Way],
    epochs: Mapping[str, int],
    left: float,
    forecast: Callable[[Training], float],
) -> Training | None:
    """What is trained next; None where nothing more is, or fits.

    Args:
        ordered: of `order`; those that failed are left out.
        short: scores after `rung` of the epochs.
        whole: ways that were trained for all epochs.
        epochs: of a whole training, by strategy.
        left: seconds.
        forecast: seconds of a training.
    """
    standing = sorted(short, key=lambda way: -short[way])
    waiting = [way for way in standing if way not in whole]
    fresh = [way for way in ordered if way not in short and way not in whole]

    def full(way: Way) -> Training:
        return Training(way, epochs[way.strategy])

    def first(ways: Sequence[Way]) -> Training | None:
        return next((full(way) for way in ways if forecast(full(way)) <= left), None)

    promoted = [way for way in standing[: len(short) // ETA] if way in waiting]
    if found := first(promoted):
        return found
    leader = (waiting or fresh)[:1]
    kept_back = 0.0 if whole else sum(forecast(full(way)) for way in leader)
    for way in fresh:
        training = Training(way, rung(epochs[way.strategy]))
        if forecast(training) + kept_back <= left:
            return training
    return first([*waiting, *([] if whole else fresh)])


def rung(epochs: int) -> int:
    """Epochs of a first training."""
    return max(1, epochs // ETA)


def choice(standings: Sequence[Standing]) -> tuple[Standing, Standing | None]:
    """What is recommended, and the runner-up: the best of the others.

    Args:
        standings: at least one.
    """
    close = [one for one in standings if one.is_close]
    chosen = min(close, key=lambda one: (one.seconds, one.behind))
    others = [one for one in standings if one is not chosen]
    return chosen, min(others, key=lambda one: one.behind, default=None)


def is_beyond(ahead: float, error: float) -> bool:
    """Whether what is chosen is better than a null model, by their paired difference."""
    return ahead > ERRORS * error


def is_believed(low: float) -> bool:
    """Whether a ranking is, by the lower end of its tau."""
    return low > 0


def why_not(one: Standing, chosen: Standing) -> str:
    """Why a way was ruled out, in words."""
    if one.is_close and chosen.seconds < one.seconds:
        return "not told from what is recommended, and takes longer"
    points, error = 100 * one.behind, 100 * one.error
    return f"{points:.1f} points behind the best (standard error {error:.1f})"
