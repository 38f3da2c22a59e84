"""Configurations and pictures of chance: taken, or refused in words, and in time."""

from __future__ import annotations

from collections.abc import Iterator

import fuzzing
from faults.chaos.ground import Ground, Row


def rows(ground: Ground, minutes: float) -> Iterator[Row]:
    """What escaped is printed."""
    for what, trials, escaped in fuzzing.fuzz(minutes, ground.random):
        print(*escaped, sep="\n")
        yield Row(f"fuzzed for {minutes:g} minutes: {what}", trials, trials - len(escaped))
