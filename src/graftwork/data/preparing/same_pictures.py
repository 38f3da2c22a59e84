"""The same picture in other bytes: resized, recompressed, cut, mirrored or turned by quarters.

What is kept of each picture is its look, mean brightness on a grid. Looks are compared where
difference hashes (dHash: is a cell brighter than the one to its left?) nearly agree, whatever way
up; cuts are sought by `cut_pictures`. SHARE is where no two different photos of the groceries pass
for one (the nearest, of one series, differ by 0.12), and all of their copies at JPEG quality 30 or
half their size do.
"""

from __future__ import annotations

from collections.abc import Iterator

import cv2
import numpy as np

from graftwork.data.preparing import cut_pictures

SIDE = 32  # cells of a look
COARSE = 16  # of what is compared; a hash looks at blocks of 2 x 2 of these
RISE = 8  # of the brightness of four cells together: less is noise on an even ground
BITS = 6  # of 64 by which two hashes may differ
ORDERS = range(0, 64, 8)  # bits with which hashes begin when they are sorted
NEAR = 12  # places in an order that two may lie apart
SHARE = 0.05  # mean difference of two looks, of the spread of brightness in them
WAYS = 8  # up: four turns, and as many of the mirrored picture
AT_ONCE = 1 << 15  # pairs whose looks are compared


def look(pixels: np.ndarray) -> np.ndarray:
    """uint8 RGB `[height, width, 3]` to grey `[SIDE, SIDE]`."""
    grey = cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY)
    return cv2.resize(grey, (SIDE, SIDE), interpolation=cv2.INTER_AREA)


def groups(looks: np.ndarray, sides: np.ndarray) -> np.ndarray:
    """Which pictures are the same one.

    Hashes that differ in few bits begin alike from one bit or another on: they are sorted eight
    times, each time from another byte on, and compared with their nearest places alone. So time
    grows with n log n however many are alike, and one pair in very many may go unseen.

    Args:
        looks: uint8 `[pictures, SIDE, SIDE]`.
        sides: px, the shorter one of each picture.

    Returns:
        int64 `[pictures]`, the position of the first picture of each one's group.
    """
    number = len(looks)
    if not number:
        return np.arange(0)
    pairs = [pair for pair in _pairs(_coarse(looks)) if len(pair[0])]
    if cuts := list(cut_pictures.pairs(looks, sides)):
        pairs.append(tuple(np.array(cuts).T))
    if not pairs:
        return np.arange(number)
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    one, other = (np.concatenate(side) for side in zip(*pairs, strict=True))
    links = coo_array((np.ones(len(one), bool), (one, other)), shape=(number, number))
    _, name = connected_components(links, directed=False)
    return np.unique(name, return_index=True)[1][name]


def _coarse(looks: np.ndarray) -> np.ndarray:
    """`[pictures, COARSE, COARSE]`, as cv2 would round."""
    times = SIDE // COARSE
    sums = looks.reshape(-1, COARSE, times, COARSE, times).sum((2, 4), dtype=np.uint16)
    return ((sums + times**2 // 2) // times**2).astype(np.uint8)


def _pairs(looks: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Positions of pictures that are the same one; a pair may come again."""
    number = len(looks)
    parts = np.array_split(looks, number // AT_ONCE + 1)
    spread = np.concatenate([part.std((1, 2), dtype=np.float32) for part in parts])
    bounds = SHARE * spread * COARSE**2
    hashes = np.concatenate([_hashes(_turned(looks, way)) for way in range(WAYS)])
    for first in ORDERS:
        order = np.argsort(_beginning_with(first, hashes))
        for apart in range(1, min(NEAR, number - 1) + 1):
            one, other = order[:-apart], order[apart:]
            alike = np.bitwise_count(hashes[one] ^ hashes[other]) <= BITS
            one, other = one[alike], other[alike]
            low, high = np.minimum(one, other), np.maximum(one, other)
            # Of all ways to lay two upon one another the one in which the first stays as it is.
            useful = (low < number) & (low != high % number)
            low, (way, high) = low[useful], np.divmod(high[useful], number)
            same = _agree(looks, low, high, way, np.minimum(bounds[low], bounds[high]))
            yield low[same], high[same]


def _hashes(looks: np.ndarray) -> np.ndarray:
    """uint64 `[pictures]`; the first column's left neighbour is the last."""
    blocks = looks.reshape(-1, 8, COARSE // 8, 8, COARSE // 8).sum((2, 4), dtype=np.int32)
    brighter = blocks - np.roll(blocks, 1, axis=2) > RISE
    return np.packbits(brighter.reshape(-1, 64), axis=1).view(np.uint64)[:, 0]


def _beginning_with(bit: int, hashes: np.ndarray) -> np.ndarray:
    """The same hashes, rolled."""
    if not bit:
        return hashes
    return (hashes << np.uint64(bit)) | (hashes >> np.uint64(64 - bit))


def _turned(looks: np.ndarray, way: int) -> np.ndarray:
    return np.rot90(looks[:, :, ::-1] if way >= 4 else looks, way % 4, axes=(1, 2))


def _agree(
    looks: np.ndarray, one: np.ndarray, other: np.ndarray, way: np.ndarray, bound: np.ndarray
) -> np.ndarray:
    """Whether looks differ by less than a bound in all, the second turned that way."""
    same = np.zeros(len(one), bool)
    for turn in range(WAYS):
        rows = np.flatnonzero(way == turn)
        for start in range(0, len(rows), AT_ONCE):
            some = rows[start : start + AT_ONCE]
            apart = looks[one[some]].astype(np.int16) - _turned(looks[other[some]], turn)
            same[some] = np.abs(apart, out=apart).sum((1, 2), dtype=np.int32) < bound[some]
    return same
