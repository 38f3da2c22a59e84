"""Counts in sentences."""

from __future__ import annotations


def counted(number: int, noun: str) -> str:
    """`1 class`, `2 classes`, `1 exact copy`, `0 exact copies`."""
    return f"{number} {noun if number == 1 else _plural(noun)}"


def _plural(noun: str) -> str:
    if noun.endswith("y"):
        return f"{noun[:-1]}ies"
    return f"{noun}es" if noun.endswith("s") else f"{noun}s"
