"""In words: how much of the best score's lead is luck."""

from __future__ import annotations

from collections.abc import Sequence

from graftwork.selecting.luck import independent_lead

Ends = tuple[float | None, float | None]  # of an interval, where it is known


def unpaired_words(what: str, ends: Sequence[Ends], confidence: float, *, is_share: bool) -> str:
    """Of scores whose predictions are not at hand; empty for fewer than two with an interval.

    Args:
        what: the scores are, such as `test score`.
        ends: (low, high) of each.
        confidence: of the intervals.
        is_share: whether the scores are shares, whose lead is told in points.
    """
    known = [(low, high) for low, high in ends if low is not None and high is not None]
    if len(known) < 2:
        return ""
    lead = independent_lead(known, confidence)
    words = _words(what, len(known), lead, is_share=is_share)
    return f"{words}, were each measured on pictures of its own; on the same ones less."


def paired_words(what: str, count: int, lead: float) -> str:
    """Of shares that were compared picture by picture."""
    words = _words(what, count, lead, is_share=True)
    return f"{words} (by the paired answers to the same pictures)."


def _words(what: str, count: int, lead: float, *, is_share: bool) -> str:
    amount = f"{100 * lead:.1f} points" if is_share else f"{lead:.3f}"
    return (
        f"Luck: of {count} equally good ones, the best {what} is expected {amount} better than "
        "their mean"
    )
