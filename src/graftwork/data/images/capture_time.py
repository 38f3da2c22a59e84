"""When a photo was taken, as its camera noted it (EXIF 2.32, section 4.6.5)."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

DATE_TIME_ORIGINAL = 0x9003  # such as 2024:05:31 14:03:59
OFFSET_TIME_ORIGINAL = 0x9011  # from UTC, such as +02:00
SUBSEC_TIME_ORIGINAL = 0x9291  # digits behind the decimal point of the seconds

_DATE = re.compile(r"(\d{4})[:\-](\d\d)[:\-](\d\d)[ T](\d\d):(\d\d):(\d\d)")
_OFFSET = re.compile(r"([+-])(\d\d):(\d\d)")


def seconds(exif: Mapping[int, Any]) -> float:
    """Seconds since 1970-01-01 UTC; of a camera that notes no offset, of its own clock.

    Args:
        exif: tags of the Exif IFD. Whoever made the file wrote them: anything may stand there.

    Returns:
        NaN where there is no legible date.
    """
    if not (date := _DATE.match(_text(exif.get(DATE_TIME_ORIGINAL)))):
        return math.nan
    try:
        taken = datetime.strptime(" ".join((*date.groups(), "+0000")), "%Y %m %d %H %M %S %z")
    except ValueError:  # 0000:00:00 is how some cameras say that their clock was never set
        return math.nan
    return (taken - _offset(exif)).timestamp() + _fraction(exif)


def _offset(exif: Mapping[int, Any]) -> timedelta:
    found = _OFFSET.match(_text(exif.get(OFFSET_TIME_ORIGINAL)))
    if not found:
        return timedelta(0)
    sign = -1 if found[1] == "-" else 1
    return sign * timedelta(hours=int(found[2]), minutes=int(found[3]))


def _fraction(exif: Mapping[int, Any]) -> float:
    digits = _text(exif.get(SUBSEC_TIME_ORIGINAL))[:9]
    return float(f"0.{digits}") if digits.isascii() and digits.isdigit() else 0.0


def _text(value: object) -> str:
    if isinstance(value, bytes):
        value = value.decode("ascii", "replace")
    return value.strip(" \0") if isinstance(value, str) else ""
