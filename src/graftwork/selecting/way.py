"""How far to go from the first weights to the trained ones (WiSE-FT, Wortsman et al. 2022).

What fine-tuning from a converged head changes lies on a way along which accuracy hardly falls, and
before whose end the source task is less forgotten. At 0 stands what training began from: whoever
may choose 0 never ends worse than there.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from graftwork.metrics.log_loss import log_losses
from graftwork.selecting.record import WayPoint
from graftwork.selecting.tempered import best_tempered


def chosen_point(
    shares: Sequence[float], probabilities: Sequence[np.ndarray], labels: np.ndarray
) -> tuple[float, list[WayPoint]]:
    """The share of the way that held-out pictures speak for.

    Of the points whose top-1 is, within a standard error of the paired difference, that of the
    best, the one with the lowest log loss: accuracy is what is wanted, but on few pictures it is
    coarse. Each point's log loss is taken at the temperature that suits it (Guo et al. 2017):
    label smoothing makes trained weights modest, which is no fault of what they have learnt.

    The first weights, 0, are kept unless that point is better than they are, in top-1 or in log
    loss, by more than a standard error: leaving them needs a reason.

    Args:
        shares: points on the way, at least one.
        probabilities: `[n, num_classes]` of the held-out pictures at each.
        labels: `[n]`; none: the last point is taken.
    """
    if not len(labels):
        return shares[-1], []
    hits = [(found.argmax(1) == labels).astype(float) for found in probabilities]
    losses = [float(log_losses(found, labels).mean()) for found in probabilities]
    best = max(range(len(shares)), key=lambda at: (hits[at].mean(), -losses[at]))
    tempered = [best_tempered(found, labels) for found in probabilities]
    close = [at for at in range(len(shares)) if not _beyond(hits[best] - hits[at])]
    chosen = min(close, key=lambda at: tempered[at].mean())
    if 0 in shares:
        start = shares.index(0)
        right, lost = hits[chosen] - hits[start], tempered[start] - tempered[chosen]
        chosen = chosen if _beyond(right) or _beyond(lost) else start
    points = [
        WayPoint(share, float(hit.mean()), loss, at == chosen)
        for at, (share, hit, loss) in enumerate(zip(shares, hits, losses, strict=True))
    ]
    return shares[chosen], points


def _beyond(difference: np.ndarray) -> bool:
    """Whether pairs differ, on average, by more than a standard error.

    Args:
        difference: `[n]`, of each picture; positive where the first is better.
    """
    if len(difference) < 2:
        return bool(difference.mean() > 0)
    return bool(difference.mean() > difference.std(ddof=1) / np.sqrt(len(difference)))
