"""Two models on the same pictures, from the answers that each left."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from graftwork.metrics.paired import Estimate, mean_over

if TYPE_CHECKING:
    import pandas as pd


def top1_gain(
    answers: pd.DataFrame, others: pd.DataFrame, confidence: float
) -> tuple[Estimate, int] | None:
    """By how much the first are more often right, as a share, and on how many pictures.

    Args:
        answers: columns sha256, class, predicted, as predictions.parquet has them.
        others: of another model.
        confidence: of the interval.

    Returns:
        None where the pictures or their classes are not the same, or are fewer than two.
    """
    both = answers.merge(others, on=["sha256", "class"], suffixes=("", "_other"))
    if not len(answers) == len(others) == len(both) or len(both) < 2:
        return None
    right, other = (
        (both[name] == both["class"]).to_numpy(np.float64)
        for name in ("predicted", "predicted_other")
    )
    return mean_over((right - other)[None], confidence), len(both)
