"""What one attack is, and the canary that says whether its code ran."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

CANARY = "GRAFTWORK_CANARY"  # environment: the file that code from an attack makes
COMMAND = f'touch "${CANARY}"'
BAIT = "hunter2-canary"  # what no output may hold; see tests/faults/test_secrets.py


@dataclass(frozen=True)
class Attack:
    """A hostile file, or a folder of them."""

    name: str
    make: Callable[[Path], Path]  # writes it below an empty folder; what is to be opened
    said: str  # of the refusal, a regular expression


class Payload:
    """Something that a pickle turns into a call."""

    def __init__(self, call: Callable[..., Any] = os.system, *given: Any) -> None:
        self._call, self._given = call, given or (COMMAND,)

    def __reduce__(self) -> tuple[Any, ...]:
        return self._call, self._given


def file(name: str, content: bytes | Callable[[], bytes]) -> Callable[[Path], Path]:
    """Writes one file."""

    def make(folder: Path) -> Path:
        path = folder / name
        path.write_bytes(content if isinstance(content, bytes) else content())
        return path

    return make
