"""Which pictures of where a model will be used it is asked about, before anybody labels them."""

from __future__ import annotations

import numpy as np

MOST = 256  # of a network: a standard error below 2 points


def asked(count: int, most: int = MOST) -> np.ndarray:
    """Positions of those, of so many; spread evenly."""
    return np.linspace(0, count - 1, min(count, most)).round().astype(int)
