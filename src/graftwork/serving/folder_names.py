"""Folders that are called as classes are, whoever named those."""

from __future__ import annotations

import re
from collections.abc import Sequence

from graftwork.process.terminal import visible

LONGEST = 200  # bytes of a name
_PARTING = re.compile(r'[/\\:*?"<>|]')  # what parts paths, or no name may hold on some systems


def folder_names(classes: Sequence[str]) -> list[str]:
    """A name for each class that is one folder below another and no other: never a way out of it.

    Names of classes come with the model, from whoever made it.
    """
    found: list[str] = []
    taken: set[str] = set()
    for label, name in enumerate(classes):
        plain = _PARTING.sub("_", visible(name)).strip(" .")
        safe = plain.encode()[:LONGEST].decode(errors="ignore")
        while not safe or safe.lower() in taken:
            safe = f"{safe}_{label}"
        taken.add(safe.lower())
        found.append(safe)
    return found
