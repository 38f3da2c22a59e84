"""Numbers to pixels: filters, maps and heat as pictures."""

from __future__ import annotations

import base64
import io
from math import ceil

import cv2
import numpy as np

from graftwork.data.images.resizing import resize

GAP = 4  # px between tiles
HEAT = 0.7  # opacity of the strongest heat


def filter_pixels(weights: np.ndarray) -> np.ndarray:
    """Filters `[n, C, h, w]` to uint8 `[n, h, w, 3]`, each scaled on its own.

    The largest magnitude of a filter becomes black or white (0 or 255), zero is middle grey (128).
    Filters over three channels are coloured, those over one are grey.
    """
    assert weights.shape[1] in (1, 3), weights.shape
    largest = np.abs(weights).max(axis=(1, 2, 3), keepdims=True)
    scaled = weights / np.where(largest > 0, largest, 1)
    pixels = np.rint(127.5 + 127.5 * scaled).astype(np.uint8).transpose(0, 2, 3, 1)
    return np.broadcast_to(pixels, (*pixels.shape[:3], 3)).copy()


def map_pixels(maps: np.ndarray, side: int) -> np.ndarray:
    """Maps `[B, h, w]` of one channel to uint8 `[B, side, side, 3]` in viridis colours.

    Scaled over all pictures together: dark is the least, bright the most of this channel.
    """
    low, high = float(maps.min()), float(maps.max())
    levels = np.rint((maps - low) * (255 / ((high - low) or 1))).astype(np.uint8)
    coloured = [cv2.applyColorMap(level, cv2.COLORMAP_VIRIDIS)[..., ::-1] for level in levels]
    return np.stack([resize(picture, side, side, "nearest") for picture in coloured])


def heated(photo: np.ndarray, heat: np.ndarray) -> np.ndarray:
    """A photo under its heat: where there is none, it is grey and as it was.

    Args:
        photo: uint8 RGB `[h, w, 3]`.
        heat: `[h, w]` in [0, 1].

    Returns:
        uint8 RGB `[h, w, 3]`.
    """
    colours = cv2.applyColorMap(np.rint(255 * heat).astype(np.uint8), cv2.COLORMAP_TURBO)
    grey = cv2.cvtColor(photo, cv2.COLOR_RGB2GRAY)[:, :, None]
    opacity = HEAT * np.clip(2 * heat[:, :, None], 0, 1)  # full from half the heat on
    mixed = grey * (1 - opacity) + colours[:, :, ::-1] * opacity
    return np.asarray(np.rint(mixed), np.uint8)


def greyed(view: np.ndarray) -> np.ndarray:
    """uint8 RGB `[h, w, 3]` as a network of one channel sees it, in RGB."""
    return np.asarray(cv2.cvtColor(cv2.cvtColor(view, cv2.COLOR_RGB2GRAY), cv2.COLOR_GRAY2RGB))


def grid(tiles: np.ndarray, columns: int, magnified: int = 1) -> np.ndarray:
    """Tiles `[n, h, w, 3]` in rows, whole pixels magnified; RGBA, gaps transparent."""
    tiles = tiles.repeat(magnified, axis=1).repeat(magnified, axis=2)
    count, height, width, _ = tiles.shape
    columns = min(columns, count)
    rows = ceil(count / columns)
    size = (rows * (height + GAP) - GAP, columns * (width + GAP) - GAP)
    sheet = np.zeros((*size, 4), np.uint8)
    for index, tile in enumerate(tiles):
        top, left = (index // columns) * (height + GAP), (index % columns) * (width + GAP)
        sheet[top : top + height, left : left + width, :3] = tile
        sheet[top : top + height, left : left + width, 3] = 255
    return sheet


def png(sheet: np.ndarray) -> str:
    """uint8 RGB or RGBA as a PNG in a data URI."""
    from PIL import Image

    buffer = io.BytesIO()
    Image.fromarray(sheet).save(buffer, "PNG", optimize=True)
    return "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode()
