"""Pictures that can be told apart by their pixels."""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np

from graftwork.features.engines.loading import Picture
from graftwork.models.base import InputSpec

SPEC = InputSpec(4, (0.5,) * 3, (0.5,) * 3, "bilinear", 1.0)


class Numbered:
    """Pictures whose pixels are their number; remembers what was asked for."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    def get(self, sha256: str, path: str | Path) -> np.ndarray:
        self.asked.append(sha256)
        if sha256 == "bad":
            raise ValueError("bad picture")
        time.sleep(0.001 * (int(sha256) % 3))
        return np.full((4, 4, 3), int(sha256), np.uint8)


def pictures(count: int) -> list[Picture]:
    return [Picture(str(number), "") for number in range(count)]
