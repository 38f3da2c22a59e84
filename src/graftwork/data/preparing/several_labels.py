"""Classes whose names are made of other classes' names: folders of pictures with several labels."""

from __future__ import annotations

import re
from collections.abc import Collection

BETWEEN = r"[\W_]+(?:and[\W_]+)?"  # two names: blanks, commas, +, &, _, and


def several_labels(classes: Collection[str]) -> list[str]:
    """Such as `ants bees` and `ants, bees` beside `ants` and `bees`; sorted."""
    names = frozenset(name.lower() for name in classes)
    return sorted(name for name in classes if _several(name.lower(), names))


def _several(text: str, names: frozenset[str]) -> bool:
    """Whether it is one of the names, and after that another or several."""
    for gap in re.finditer(BETWEEN, text):
        rest = text[gap.end() :]
        if text[: gap.start()] in names and (rest in names or _several(rest, names)):
            return True
    return False


def finding(names: list[str]) -> str:
    """What a person should know, in words."""
    each = "it was taken as a class of its own" if len(names) == 1 else "each was taken as a class"
    verb = "reads" if len(names) == 1 else "read"
    named = ", ".join(f"'{name}'" for name in names[:5])
    more = f" and {len(names) - 5} more" if len(names) > 5 else ""
    return (
        f"{named}{more} {verb} like several labels. Several labels a picture are not supported: "
        f"{each}."
    )
