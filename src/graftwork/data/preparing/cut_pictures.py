"""Pictures that are another one of which a little was cut off at the edges.

A cut moves every edge, so that difference hashes have nothing in common. Nine cuts of each picture
are compared with every picture at 8 x 8 cells, by products of blocks of matrices; the nearest are
laid upon one another by OpenCV's ECC (Evangelidis & Psarakis 2008, IEEE PAMI 30(10)), and compared
as in `same_pictures`. SHARE lets through all but a few cuts to nine tenths of the groceries, and of
different photos those alone that were taken within a moment, of the same things.

What is smaller than SMALL, or has no contrast, has too little on it; and among more than MOST
pictures none are looked for, since work grows with their square.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import cv2
import numpy as np

KEPT = 0.9  # of each side, by the cuts that are compared
OFFSETS = (0.0, 0.05, 0.1)  # of their left and upper edges
SIDES = (0.83, 0.97)  # of the other picture's, that a cut may turn out to have kept
LEAN = 0.04  # a cut is neither turned nor slanted by more
CELLS = 8
LIKE = 0.88  # correlation of cells from which on two are laid upon one another
SHARE = 0.2  # mean difference then, of the spread of brightness
FEW = 4  # pictures that one may be a cut of
SMALL = 64  # px of the shorter side
EVEN = 4.0  # of 255, the spread of brightness of what has no contrast
MOST = 30_000  # pictures
BLOCK = 2048
ROUNDS = (cv2.TERM_CRITERIA_COUNT | cv2.TERM_CRITERIA_EPS, 50, 1e-4)
BLUR = 3  # cells that ECC smooths over: without it, it sticks to details


def pairs(looks: np.ndarray, sides: np.ndarray) -> Iterator[tuple[int, int]]:
    """Positions of pictures of which the second is a cut of the first.

    Args:
        looks: uint8 `[pictures, S, S]`, S a multiple of 16.
        sides: px, the shorter one of each picture.
    """
    large = np.flatnonzero((sides >= SMALL) & (looks.std((1, 2), dtype=np.float32) >= EVEN))
    if not 1 < len(large) <= MOST:
        return
    some = looks[large]
    for first, second, cut in _near(some).T.tolist():
        if _is_cut(some[first], some[second], cut):
            yield int(large[first]), int(large[second])


def _near(looks: np.ndarray) -> np.ndarray:
    """Rows of first, second, and the number of the cut: int64 `[3, pairs]`."""
    side = looks.shape[1]
    whole = _unit(looks, _window(side, 0, 1), _window(side, 0, 1))
    windows = [_window(side, offset, KEPT) for offset in OFFSETS]
    cuts = [_unit(looks, rows, columns) for rows in windows for columns in windows]
    blocks = (_near_to(cuts, whole, at) for at in range(0, len(looks), BLOCK))
    return np.concatenate(list(blocks), axis=1)


def _near_to(cuts: Sequence[np.ndarray], whole: np.ndarray, column: int) -> np.ndarray:
    """As `_near`, of the second pictures from a column on: the few best pairs of each."""
    found = []
    for row in range(0, len(whole), BLOCK):
        for number, cut in enumerate(cuts):
            like = cut[row : row + BLOCK] @ whole[column : column + BLOCK].T
            if row == column:
                np.fill_diagonal(like, 0)
            near = like >= LIKE
            if np.count_nonzero(near) > FEW * BLOCK:  # a series: of each its nearest will do
                near &= like >= -np.partition(-like, FEW, axis=0)[FEW]
            first, second = np.divmod(np.flatnonzero(near), near.shape[1])  # faster than nonzero
            numbers = np.full(len(first), number)
            found.append((row + first, column + second, numbers, like[first, second]))
    first, second, numbers, like = (np.concatenate(part) for part in zip(*found, strict=True))
    wholly = np.einsum("ij,ij->i", whole[first], whole[second])
    order = np.lexsort((-like, second))
    order = order[(like > wholly)[order]]  # what is nearer as a whole is no cut
    pair = first[order] * len(whole) + second[order]
    order = order[np.sort(np.unique(pair, return_index=True)[1])]  # of each pair its nearest cut
    begins = np.searchsorted(second[order], second[order])
    order = order[np.arange(len(order)) - begins < FEW]
    return np.stack([first[order], second[order], numbers[order]])


def _window(side: int, offset: float, kept: float) -> np.ndarray:
    """Means over the cells of a part of a line: float32 `[CELLS, side]`."""
    edges = (offset + kept * np.arange(CELLS + 1) / CELLS) * side
    cells = np.arange(side)
    inside = np.minimum(edges[1:, None], cells + 1) - np.maximum(edges[:-1, None], cells)
    return (np.clip(inside, 0, None) * CELLS / (kept * side)).astype(np.float32)


def _unit(looks: np.ndarray, rows: np.ndarray, columns: np.ndarray) -> np.ndarray:
    """Cells of a part of each, less their mean, of length 1: float32 `[pictures, CELLS**2]`."""
    cells = (rows @ looks.astype(np.float32) @ columns.T).reshape(len(looks), -1)
    cells -= cells.mean(axis=1, keepdims=True)
    return cells / np.maximum(np.linalg.norm(cells, axis=1, keepdims=True), 1e-6)


def _is_cut(first: np.ndarray, second: np.ndarray, cut: int) -> bool:
    side = len(first)
    top, left = (OFFSETS[at] * side + (KEPT - 1) / 2 for at in divmod(cut, len(OFFSETS)))
    warp = np.array([[KEPT, 0, left], [0, KEPT, top]], np.float32)
    try:
        everywhere = np.ones_like(first)
        _, found = cv2.findTransformECC(
            second, first, warp, cv2.MOTION_AFFINE, ROUNDS, everywhere, BLUR
        )
    except cv2.error:  # it does not converge
        return False
    warp = np.asarray(found, np.float32)
    kept, lean = np.diag(warp), max(abs(warp[0, 1]), abs(warp[1, 0]))
    if not (SIDES[0] <= kept.min() and kept.max() <= SIDES[1] and lean <= LEAN):
        return False
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    laid = cv2.warpAffine(first, warp, (side, side), flags=flags, borderMode=cv2.BORDER_REPLICATE)
    one, other = (cv2.resize(look, (16, 16), interpolation=cv2.INTER_AREA).astype(np.float32)
                  for look in (laid, second))  # fmt: skip
    return bool(np.abs(one - other).mean() < SHARE * min(one.std(), other.std()))
