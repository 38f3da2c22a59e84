"""The smallest picture that a backbone can take, said before its layers fail on it."""

from __future__ import annotations

from typing import Any


def check_smallest(network: Any, img_size: tuple[int, int]) -> None:
    """Compares with `min_input_size` of the network's `pretrained_cfg`.

    Raises:
        ValueError: a side is smaller.
    """
    smallest = network.pretrained_cfg["min_input_size"][-1]
    if min(img_size) < smallest:
        raise ValueError(f"it needs {smallest} px or more: smaller maps vanish in its poolings")
