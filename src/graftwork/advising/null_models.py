"""What needs no network: how far the commonest class, colours and small pixels get.

They are judged as probes are, by heads of the same kind on the same folds, so that a network can be
held against them picture by picture.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from graftwork.data.folds import NEVER
from graftwork.transfer.parts import Examples, HeadInit

SIDE = 64  # px of the pictures that are looked at
BINS, PIXELS = 6, 16  # colours of a channel; side of the small pictures, px
MAJORITY, COLOURS, SMALL = "the commonest class", "colour histogram", "16 x 16 pixels"


def null_answers(head: HeadInit, examples: Examples, images: np.ndarray) -> dict[str, np.ndarray]:
    """Which pictures each recognises: `[n]`, 1 or 0, NaN where a picture is never held out.

    Args:
        head: how heads are fitted.
        examples: their features are not looked at.
        images: uint8 `[n, SIDE, SIDE, 3]`.
    """
    seen = {COLOURS: colour_histogram(images), SMALL: small_pixels(images)}
    said = {MAJORITY: _commonest(examples)}
    for name, features in seen.items():
        said[name] = head.fit(replace(examples, features=features)).held_out.argmax(axis=1)
    judged = examples.fold != NEVER
    return {name: np.where(judged, found == examples.labels, np.nan)
            for name, found in said.items()}  # fmt: skip


def colour_histogram(images: np.ndarray) -> np.ndarray:
    """float32 `[n, BINS ** 3]`: roots of the shares of joint colours, whose inner product is the
    Hellinger affinity of two histograms."""
    levels = images.reshape(len(images), -1, 3).astype(np.int64) * BINS // 256
    joint = (levels[..., 0] * BINS + levels[..., 1]) * BINS + levels[..., 2]
    counts = np.stack([np.bincount(row, minlength=BINS**3) for row in joint])
    return np.sqrt(counts / joint.shape[1]).astype(np.float32)


def small_pixels(images: np.ndarray) -> np.ndarray:
    """float32 `[n, PIXELS * PIXELS * 3]`: means of blocks, in [0, 1]."""
    block = SIDE // PIXELS
    means = images.reshape(len(images), PIXELS, block, PIXELS, block, 3).mean(axis=(2, 4))
    return (means / 255).reshape(len(images), -1).astype(np.float32)


def _commonest(examples: Examples) -> np.ndarray:
    said = np.full(len(examples.labels), -1)
    for out, rest in examples.parts():
        said[out] = np.bincount(rest.labels).argmax()
    return said
