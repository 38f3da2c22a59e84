"""What an interval without width hides: few pictures without an error prove little."""

from __future__ import annotations

from collections.abc import Mapping

from graftwork.metrics.base import Metric
from graftwork.reporting.numbers import number, percent


def error_bound(n: int) -> float:
    """The largest error rate that n pictures without an error do not rule out at 95 %.

    The exact one-sided bound (Clopper and Pearson, 1934, Biometrika 26(4)): at this rate, n
    pictures go without an error in 5 % of all cases. The rule of three, 3 / n, is its limit for
    many pictures, and beyond 1 for few.
    """
    return float(1 - 0.05 ** (1 / n))


def no_width_note(scores: Mapping[str, Mapping[str, float]], metrics: Mapping[str, Metric]) -> str:
    """A warning of intervals without width; empty where there are none.

    Args:
        scores: as in metrics.json; the first is the headline.
        metrics: of the same names; scores without one are passed over.
    """
    shown = [(metrics[name], score) for name, score in scores.items() if name in metrics]
    level = [metric.label for metric, score in shown if score["low"] == score["high"]]
    if not level:
        return ""
    words = f"{', '.join(level)}: all resamples agree, so that the interval has no width. "
    words += "That is no certainty."
    metric, head = shown[0]
    if metric.label in level and metric.is_share and metric.higher_is_better and head["value"] == 1:
        n = int(head["n"])
        words += f" With {_pictures(n)}, an error rate of up to {percent(error_bound(n))} is "
        words += "compatible with this result (exact one-sided 95 % bound)."
    return words


def _pictures(n: int) -> str:
    return "1 picture" if n == 1 else f"{number(n)} pictures"
