"""Versions of the code that computes features, read from its sources: nothing is imported.

A file says `VERSION = 1`, and raises it when the same weights begin to compute something else; its
comments and refactorings then leave stored features alone. A file that says nothing, such as that
of a network in the making, counts by its code: whatever is edited there is another network.
"""

from __future__ import annotations

import ast
import hashlib
import re

_DECLARED = re.compile(r"^VERSION = (\d+)", re.MULTILINE)


def declared(source: str) -> bool:
    """Whether this source says its version."""
    return _DECLARED.search(source) is not None


def version_of(source: str) -> str:
    """The version that this source declares, or else a hash of its code without comments."""
    if found := _DECLARED.search(source):
        return found[1]
    return hashlib.sha256(ast.dump(ast.parse(source)).encode()).hexdigest()[:16]
