"""How much of the best score's lead is luck: the best of many equally good ones is above them all.

Blom (1958, Statistical Estimates and Transformed Beta-Variables) gives the expected largest of n
normal values nearly; here it is integrated, which is as short and exact.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence
from pathlib import Path
from statistics import NormalDist

import numpy as np

REACH, STEPS = 12.0, 2401  # of the integral, in standard deviations; beyond it is nothing


def expected_lead(count: int) -> float:
    """How far the largest of so many standard normal values is expected above their mean.

    The integral of 1 - F(x)^count - F(-x)^count over positive x, F being the normal distribution:
    0 for one value, 0.56 for two, 1.54 for ten, 2.51 for a hundred.

    Args:
        count: of independent values, at least 1.
    """
    x = np.linspace(0, REACH, STEPS)
    above = np.array([math.erfc(value / math.sqrt(2)) / 2 for value in x])
    return float(np.trapezoid(1 - (1 - above) ** count - above**count, x))


def standard_error(low: float, high: float, confidence: float) -> float:
    """Of a score, from the width of its interval: that of a normal one has as many of them."""
    return (high - low) / (2 * NormalDist().inv_cdf((1 + confidence) / 2))


def independent_lead(ends: Sequence[tuple[float, float]], confidence: float) -> float:
    """The lead that luck alone is expected to give the best of these scores, above their mean.

    As if each had pictures of its own. On the same pictures scores rise and fall together, and
    the lead is smaller: an upper figure then.

    Args:
        ends: (low, high) of each score's interval, in the unit of the scores.
        confidence: of the intervals.
    """
    variances = [standard_error(low, high, confidence) ** 2 for low, high in ends]
    return expected_lead(len(ends)) * math.sqrt(sum(variances) / len(variances))


def paired_lead(files: Sequence[Path]) -> float | None:
    """The same of top-1 from predictions of the same pictures, which know what scores share.

    Half the variance of a difference between two scores, averaged over all pairs, is the part
    that a score does not share with the others: the pictures' mean variance among the scores,
    less the variance of the scores themselves. One count a picture is all that is kept.

    Args:
        files: predictions.parquet or held_out.parquet of each score.

    Returns:
        A share; None unless there are two of them at least, all of the same pictures.
    """
    right: np.ndarray | None = None
    scores, before = [], None
    for content, correct in map(answers, files):
        if right is not None and content != before:
            return None
        before = content
        scores.append(float(correct.mean()))
        right = correct.astype(np.int64) if right is None else right + correct
    if right is None or len(scores) < 2 or len(right) < 2:
        return None
    count, share = len(scores), right / len(scores)
    within = float((share * (1 - share)).mean()) * count / (count - 1)
    own = (within - float(np.var(scores, ddof=1))) / (len(right) - 1)
    return expected_lead(count) * math.sqrt(max(0.0, own))


def answers(path: Path) -> tuple[bytes, np.ndarray]:
    """Which pictures a file is of, as a digest, and which of them were recognised: bool `[n]`."""
    import pyarrow.compute as pc
    import pyarrow.parquet as pq

    pictures, found = hashlib.sha256(), [np.zeros(0, bool)]
    with pq.ParquetFile(path) as file:
        for rows in file.iter_batches(columns=["sha256", "class", "predicted"]):
            pictures.update("".join(f"{name}\n" for name in rows["sha256"].to_pylist()).encode())
            equal = pc.equal(rows["class"], rows["predicted"])
            found.append(equal.to_numpy(zero_copy_only=False).astype(bool))
    return pictures.digest(), np.concatenate(found)
