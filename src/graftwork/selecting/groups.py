"""Which pictures belong together: photos of one series are far too alike to test each other.

| by         | a group is                                                                     |
|------------|--------------------------------------------------------------------------------|
| column     | what the data says: `group` of the manifest                                    |
| folder     | a folder below a class folder: photos/<class>/<series>/x.jpg                   |
| taken      | photos of a class without a gap of more than `gap_minutes` between them        |
| duplicates | pictures of a class that a chain of pairs links, each of at least              |
|            | `duplicate_cosine` (cosine of their features)                                  |

A series is one class's, for the last three: a held-out photo is easy where its class was learned
from its twin. Classes photographed in turn need no more: a gap is one between photos of the same
class. So many cameras at once do not melt all classes into one series, and what is compared is the
sum of squares of the classes' sizes, not the square of the sum.
"""

from __future__ import annotations

import os
from collections.abc import Callable

import numpy as np
import pandas as pd

from graftwork.config.errors import UserError
from graftwork.selecting.near_duplicates import components
from graftwork.settings.selection import Selection

Features = Callable[[], np.ndarray]
ALONE = -1  # code of a row without a group
_WORDS = {
    "column": "a group is what the data says (dataset.group_column)",
    "folder": "a group is a folder below a class folder",
    "taken": "a group is photos of a class taken with gaps of at most {gap:g} minutes",
    "duplicates": "a group is pictures of a class linked by cosines of at least {cosine:g}",
}


def groups_of(
    frame: pd.DataFrame, features_of: Features, selection: Selection
) -> tuple[np.ndarray | None, str]:
    """The group of every picture, by `selection.group_by`.

    Data has a kind of group where at least two pictures share one and not all share the same. A
    picture without a group is a group of its own.

    Args:
        frame: rows of the manifest: `path`, `class`, `group`, `taken`.
        features_of: float32 `[len(frame), num_features]`; called only where features are looked at.

    Returns:
        int64 `[len(frame)]`, numbered from 0 in the order of the frame, or None where
        `group_by=auto` finds none; and a sentence that says by what.

    Raises:
        UserError: the data lacks the kind of group that `group_by` names.
    """
    wanted = selection.group_by
    for by in _WORDS if wanted == "auto" else (wanted,):
        codes = _codes(by, frame, features_of, selection)
        if _is_grouping(codes):
            return _numbered(codes), _sentence(by, codes, selection)
    if wanted == "auto":
        return None, "No two pictures are known to belong together: each is a group of its own."
    raise _lacking(wanted, frame, features_of, selection)


def _codes(by: str, frame: pd.DataFrame, features_of: Features, selection: Selection) -> np.ndarray:
    """int64 `[rows]`: equal within a group, `ALONE` where there is none."""
    if by == "column":
        return _factorised(frame["group"].where(frame["group"] != ""))
    if by == "folder":
        return _factorised(_series_folders(frame))
    if by == "taken":
        return _taken_together(frame, selection.gap_minutes * 60)
    return _near_duplicates(frame, features_of, selection.duplicate_cosine)


def _factorised(values: pd.Series) -> np.ndarray:
    return pd.factorize(values)[0].astype(np.int64)  # missing values become -1


def _series_folders(frame: pd.DataFrame) -> pd.Series:
    """Each picture's folder, or None where that is the class folder itself.

    Names alone tell which folder is the class's: where a picture lies in none of that name, the
    data is no tree of class folders, and its folders say nothing.
    """
    folders = frame["path"].map(os.path.dirname)
    found: dict[tuple[str, str], str | None] = {}
    for pair in set(zip(folders, frame["class"], strict=True)):
        above = pair[0].split(os.sep)
        if pair[1] not in above:
            return pd.Series([None] * len(frame), frame.index, object)
        found[pair] = None if above[-1] == pair[1] else pair[0]
    pairs = zip(folders, frame["class"], strict=True)
    return pd.Series([found[pair] for pair in pairs], frame.index, object)


def _taken_together(frame: pd.DataFrame, gap: float) -> np.ndarray:
    """Photos of a class in the order of time; a gap of more than so many seconds parts them."""
    classes, taken = pd.factorize(frame["class"])[0], frame["taken"].to_numpy(float)
    codes = np.full(len(frame), ALONE, np.int64)
    order = np.lexsort((taken, classes))
    order = order[np.isfinite(taken[order])]
    if len(order):
        parted = (np.diff(classes[order]) != 0) | (np.diff(taken[order]) > gap)
        codes[order] = np.concatenate([[0], np.cumsum(parted)])
    return codes


def _near_duplicates(frame: pd.DataFrame, features_of: Features, cosine: float) -> np.ndarray:
    features = features_of()
    codes = np.full(len(frame), ALONE, np.int64)
    begun = 0
    for members in frame.groupby("class", sort=False).indices.values():
        rows = np.asarray(members)
        codes[rows] = begun + components(features[rows], cosine)
        begun += len(rows)
    return codes


def _is_grouping(codes: np.ndarray) -> bool:
    sizes = _sizes(codes)
    return bool((sizes > 1).any()) and len(sizes) + int((codes == ALONE).sum()) > 1


def _sizes(codes: np.ndarray) -> np.ndarray:
    return np.unique(codes[codes != ALONE], return_counts=True)[1]


def _numbered(codes: np.ndarray) -> np.ndarray:
    """Numbers in the order in which groups first come; rows without a group get one each."""
    alone = codes == ALONE
    codes = codes.copy()
    codes[alone] = codes.max(initial=0) + 1 + np.arange(alone.sum())
    return pd.factorize(codes)[0].astype(np.int64)


def _sentence(by: str, codes: np.ndarray, selection: Selection) -> str:
    words = _WORDS[by].format(gap=selection.gap_minutes, cosine=selection.duplicate_cosine)
    sizes = _sizes(codes)
    together = int(sizes[sizes > 1].sum())
    groups = int((sizes > 1).sum())
    rest = "; each of the others stands alone" if together < len(codes) else ""
    return (
        f"{words[0].upper()}{words[1:]}: {together} of {len(codes)} pictures lie in {groups} "
        f"group{'s' if groups > 1 else ''} of several, the largest of {sizes.max()}{rest}."
    )


def _lacking(
    wanted: str, frame: pd.DataFrame, features_of: Features, selection: Selection
) -> UserError:
    lacks = {
        "column": "no picture shares a group with another (dataset.group_column), or all do",
        "folder": "no folders of pictures below class folders (photos/<class>/<series>/x.jpg)",
        "taken": (
            "the photos carry no capture times (EXIF DateTimeOriginal), or none that make "
            f"series with gap_minutes={selection.gap_minutes:g}"
        ),
        "duplicates": f"no features as similar as duplicate_cosine={selection.duplicate_cosine:g}",
    }
    others = [by for by in _WORDS if by != wanted]
    has = [by for by in others if _is_grouping(_codes(by, frame, features_of, selection))]
    return UserError(
        f"selection.group_by: the data has no groups by '{wanted}': {lacks[wanted]}. "
        + (
            f"It has: {', '.join(has)}. Set selection.group_by={has[0]}, or auto."
            if has
            else "It has no other kind either: choose selection=matched or selection=random."
        )
    )
