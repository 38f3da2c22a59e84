"""Durations and sizes as one writes them: 30d, 5GB."""

from __future__ import annotations

import re
from collections.abc import Mapping

from graftwork.config.errors import UserError

HOUR = 3600.0
DAY = 24 * HOUR
DURATIONS = {"h": HOUR, "d": DAY, "w": 7 * DAY}
SIZES = {"b": 1, "kb": 10**3, "mb": 10**6, "gb": 10**9, "tb": 10**12}


def seconds(text: str, option: str) -> float:
    """What `30d` is in seconds.

    Raises:
        UserError: it is no duration.
    """
    return _amount(text, DURATIONS, f"{option}: '{text}' is no duration. Legal: 12h, 30d, 8w.")


def size(text: str, option: str) -> float:
    """What `5GB` is in bytes; units are powers of a thousand.

    Raises:
        UserError: it is no size.
    """
    return _amount(text, SIZES, f"{option}: '{text}' is no size. Legal: 500MB, 5GB, 1.5TB, 0B.")


def _amount(text: str, units: Mapping[str, float], refusal: str) -> float:
    found = re.fullmatch(r"(\d+(?:\.\d+)?) ?([a-z]+)", text.strip().lower(), re.ASCII)
    if found is None or found[2] not in units:
        raise UserError(refusal)
    return float(found[1]) * units[found[2]]
