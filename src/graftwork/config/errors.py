"""What a user did wrong, said once: the value, the legal values (nearest first), the remedy."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterable
from difflib import SequenceMatcher

_REMEDIES = {
    errno.EACCES: "Give this user the right to it, or name another place.",
    errno.EPERM: "Give this user the right to it, or name another place.",
    errno.EROFS: "Name another place.",
    errno.ENOSPC: "Free some space on the disk, or name another place.",
    errno.EFBIG: "No file may be so large here (ulimit -f): raise that, or name another place.",
    errno.EDQUOT: "Free some space on the disk, or name another place.",
}
# Keys that went, and what says the same today.
_MOVED = {
    "transfer.initialisation": "Choose transfer/start=registry (pretrained before) or "
    "transfer/start=random.",
}


class UserError(ValueError):
    """A mistake that the user can mend. Shown as one message without a traceback; exit code 2."""


def as_mistake(error: BaseException | None) -> UserError | None:
    """The user's mistake that an exception is: a place without rights or space; None for others."""
    if isinstance(error, UserError):
        return error
    if not isinstance(error, OSError) or error.errno not in _REMEDIES:
        return None
    reason = f"{os.strerror(error.errno)}. {_REMEDIES[error.errno]}"
    place = error.filename2 or error.filename  # of a rename, where to
    return UserError(
        f"{os.fsdecode(place)}: {reason}" if isinstance(place, str | bytes) else reason
    )


def nearest_first(value: str, legal: Iterable[str]) -> list[str]:
    """The legal names, most similar to `value` first."""
    return sorted(legal, key=lambda name: (-SequenceMatcher(None, value, name).ratio(), name))


def unknown(what: str, value: object, legal: Iterable[str], remedy: str = "") -> UserError:
    """An error for a name that is none of the legal ones.

    Args:
        what: where the name stands, such as `dataset.path` or `group option model`.
        value: the name as the user wrote it.
        legal: every name that would have been right.
        remedy: what to do instead, if choosing a legal name is not all.
    """
    if moved := _MOVED.get(what):
        return UserError(f"{what}: is no key any more. {moved}")
    names = nearest_first(str(value), legal)
    message = f"{what}: '{value}' is unknown."
    if names:
        message += f" Did you mean '{names[0]}'? Legal: {', '.join(names)}."
    return UserError(f"{message} {remedy}".strip())


def check_choice(what: str, value: str, legal: Iterable[str]) -> None:
    """Raises UserError unless `value` is one of `legal`."""
    legal = list(legal)
    if value not in legal:
        raise unknown(what, value, legal)


def check_range(
    what: str,
    value: float,
    low: float | None = None,
    high: float | None = None,
    *,
    low_open: bool = False,
) -> None:
    """Raises UserError unless `low <= value <= high` (`low < value` when `low_open`).

    `None` leaves that side unbounded.
    """
    below = low is not None and (value <= low if low_open else value < low)
    above = high is not None and value > high
    if below or above or value != value:
        left = "" if low is None else f"{'>' if low_open else '>='} {low}"
        right = "" if high is None else f"<= {high}"
        bounds = " and ".join(part for part in (left, right) if part)
        raise UserError(f"{what}: {value} is out of bounds. Legal: {bounds}.")
