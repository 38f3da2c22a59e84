"""Sizes: one way to shrink, whoever asks.

Halve (area means, exact) while at least twice too large, then interpolate bilinearly over less
than a factor of two. Linear probes of EfficientNet-Lite0 on the groceries cannot tell this from
Pillow's antialiased bicubic or OpenCV's area resampling (160 px: 75.8, 75.8, 76.0 %; 224 px: 79.1,
78.7, 79.1 %; 661 test photos), and it takes a fifth of the time of either: for fractional factors
those cost more than decoding the picture.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np

from graftwork.config.errors import check_choice

if TYPE_CHECKING:
    from graftwork.models.base import InputSpec

VIEW = 1  # raise it when the same pixels begin to give other views: stored features start anew

ENLARGING = {
    "nearest": cv2.INTER_NEAREST,
    "bilinear": cv2.INTER_LINEAR,
    "bicubic": cv2.INTER_CUBIC,
    "lanczos": cv2.INTER_LANCZOS4,
}


def resize(image: np.ndarray, width: int, height: int, interpolation: str) -> np.ndarray:
    """uint8 `[h, w, c]` to `[height, width, c]`.

    Args:
        interpolation: where the picture grows; shrinking never depends on it, as bicubic weights
            without antialiasing alias.
    """
    check_choice("interpolation", interpolation, ENLARGING)
    h, w = image.shape[:2]
    while h >= 2 * height and w >= 2 * width:
        h, w = h // 2, w // 2  # an odd last row or column is dropped: exact halves are fast
        image = cv2.resize(image[: 2 * h, : 2 * w], (w, h), interpolation=cv2.INTER_AREA)
    if (h, w) == (height, width):
        return image
    grows = height > h or width > w
    method = ENLARGING[interpolation] if grows else cv2.INTER_LINEAR
    return cv2.resize(image, (width, height), interpolation=method)


def fit_side(image: np.ndarray, side: int) -> np.ndarray:
    """Shrinks so that the shorter side is at most `side` px; never enlarges."""
    height, width = image.shape[:2]
    shorter = min(height, width)
    if shorter <= side:
        return image
    return resize(image, round(width * side / shorter), round(height * side / shorter), "bilinear")


def eval_view(image: np.ndarray, input_spec: InputSpec) -> np.ndarray:
    """What a network sees of a picture when it is evaluated, here and in production alike.

    The centre square of `crop_pct` of the shorter side, resized: resizing the shorter side to
    `size / crop_pct` and cropping the centre, in the order that has fewer pixels to resize.

    Args:
        image: uint8 RGB `[height, width, 3]`.

    Returns:
        uint8 RGB `[size, size, 3]`, not normalised; also for networks of one channel.
    """
    height, width = image.shape[:2]
    crop = min(max(round(min(height, width) * input_spec.crop_pct), 1), height, width)
    top, left = (height - crop) // 2, (width - crop) // 2
    square = image[top : top + crop, left : left + crop]
    view = resize(square, input_spec.size, input_spec.size, input_spec.interpolation)
    return np.ascontiguousarray(view)
