"""Splits that the data does not bring: stratified by class, seeded, the same whatever the order.

Every picture (or group of pictures, which never part) gets a place in its class by a hash of the
seed and its content; the first places go to test, the next to val. So the result does not depend
on file names or order, adding pictures moves few of the others, and shares are exact to within
one picture a class (or one group). It takes seconds a million pictures.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence

import numpy as np
import pandas as pd

from graftwork.config.errors import UserError
from graftwork.data.datasets.base import Splits
from graftwork.data.manifest import OK

BEYOND = "left out by dataset.splits.train_per_class"  # a verdict on pictures that are sound


def make(pictures: pd.DataFrame, splits: Splits) -> pd.Series:
    """The split of every picture; what the data says is kept.

    A missing test or val split is taken from the pictures that the data gives no split, or, where
    it gives every picture one, from train. A class keeps at least one picture (or group) in train,
    and test comes before val where a class is too small for both.

    Args:
        pictures: usable pictures, each content once: `sha256`, `class`, `split` (None where the
            data does not say) and `group` (None: on its own).

    Returns:
        train, val or test for each row of `pictures`.

    Raises:
        UserError: nothing would be left to train on.
    """
    said = _follow_groups(pictures)
    result = said.fillna("train")
    missing = [name for name in ("test", "val") if not (said == name).any()]
    pool = _pool(pictures, said)
    if (result != "train").all():
        raise UserError("dataset: no picture is left for training: every one is in val or test.")
    shares = {name: getattr(splits, f"{name}_fraction") for name in missing}
    units = _units(pool, splits.seed)
    sizes, dealt = units["size"].to_numpy(), np.full(len(units), "train", object)
    for members in units.groupby("class", sort=False).indices.values():
        for name, chosen in _deal(sizes[members], shares).items():
            dealt[members[chosen]] = name
    result.loc[pool.index] = _unit_of(pool).map(dict(zip(units["unit"], dealt, strict=True)))
    return result


def limit_train(divided: pd.DataFrame, splits: Splits) -> pd.DataFrame:
    """Leaves out training pictures beyond `train_per_class`, for learning curves.

    Those that stay have the smallest hashes of seed and content: more of them always include
    fewer, and the order of files does not matter. Val and test are left as they are.

    Args:
        divided: `sha256`, `class`, `split`, `verdict`; other splits have been made by now.

    Returns:
        the same rows, those left out with the verdict `BEYOND`.
    """
    if splits.train_per_class is None:
        return divided
    train = divided[(divided["split"] == "train") & (divided["verdict"] == OK)]
    ordered = train.iloc[np.argsort(_places(train["sha256"], splits.seed))]
    place = ordered.groupby("class").cumcount()
    divided = divided.copy()
    divided.loc[place.index[place >= splits.train_per_class], "verdict"] = BEYOND
    return divided


def made(pictures: pd.DataFrame, result: pd.Series) -> list[str]:
    """The splits that `make` made, in words for the report."""
    said = set(pictures["split"].dropna())
    return [name for name in ("train", "val", "test") if name in set(result) - said]


def straddling_groups(pictures: pd.DataFrame) -> int:
    """Groups that the data's own splits tear apart."""
    grouped = pictures.dropna(subset=["group", "split"])
    return int((grouped.groupby("group")["split"].nunique() > 1).sum())


def why_no_test(pictures: pd.DataFrame, splits: Splits) -> str:
    """Why `make` put none of these pictures in test, and what helps."""
    if splits.test_fraction == 0:
        return (
            "dataset.splits.test_fraction is 0 and the data brings no test split. "
            "Set dataset.splits.test_fraction=0.2, or give pictures the split test."
        )
    said = _follow_groups(pictures)
    pool = _pool(pictures, said)
    what = "picture" if said.notna().all() else "picture without a split"
    if pool["group"].notna().any() and pool["class"].duplicated().any():
        return (
            f"every class has but one group, and groups never part (test_fraction="
            f"{splits.test_fraction} takes whole ones). Set dataset.group_column to a finer "
            "column, or to null, or give pictures the split test."
        )
    return (
        f"no class has a second {what}, and a class keeps one to train on "
        f"(test_fraction={splits.test_fraction} finds none to take). Add pictures, or give some "
        "the split test."
    )


def _pool(pictures: pd.DataFrame, said: pd.Series) -> pd.DataFrame:
    """The pictures that missing splits are made of."""
    return pictures[said.isna() if said.isna().any() else said == "train"]


def _follow_groups(pictures: pd.DataFrame) -> pd.Series:
    """What the data says; a picture without a split goes where others of its group are."""
    said = pictures["split"]
    if pictures["group"].isna().all():
        return said
    known = pictures.dropna(subset=["group", "split"]).drop_duplicates("group")
    of_group = pictures["group"].map(known.set_index("group")["split"])
    return said.where(said.notna(), of_group)


def _unit_of(pool: pd.DataFrame) -> pd.Series:
    """What is dealt as one: a group, or a picture alone."""
    return ("group " + pool["group"]).where(pool["group"].notna(), pool["sha256"])


def _units(pool: pd.DataFrame, seed: int) -> pd.DataFrame:
    """unit, class (the most frequent in it) and size of each, in dealing order."""
    units = pd.DataFrame({"unit": _unit_of(pool), "class": pool["class"], "size": 1})
    if pool["group"].notna().any():
        counts = units.groupby(["unit", "class"])["size"].sum().reset_index()
        total = counts.groupby("unit")["size"].transform("sum")
        order = counts.sort_values(["unit", "size", "class"], ascending=[True, False, True])
        units = order.assign(size=total).drop_duplicates("unit")
    return units.iloc[np.argsort(_places(units["unit"], seed))].reset_index(drop=True)


def _places(names: Iterable[str], seed: int) -> np.ndarray:
    """What orders units, or pictures by their sha256: a hash that the seed changes."""
    return np.array([hashlib.sha256(f"{seed} {name}".encode()).hexdigest() for name in names])


def _deal(sizes: np.ndarray, shares: dict[str, float]) -> dict[str, np.ndarray]:
    """Positions that go to each split, for the units of one class in dealing order.

    Args:
        sizes: `[units]`, pictures in each.
        shares: of all pictures of the class, by split, in the order in which they are served.
    """
    free = np.arange(len(sizes) - 1)  # the last always trains
    result = {}
    for name, share in shares.items():
        wanted = max(round(float(sizes.sum()) * share), 1) if share else 0
        result[name] = np.array(_fill(free.tolist(), sizes.tolist(), wanted), int)
        free = np.setdiff1d(free, result[name])
    return result


def _fill(free: Sequence[int], sizes: Sequence[int], wanted: int) -> list[int]:
    """Units taken in order while they fit; the smallest, if none does."""
    chosen: list[int] = []
    for unit in free:
        if sizes[unit] <= wanted:
            chosen.append(unit)
            wanted -= sizes[unit]
    if not chosen and wanted and free:
        return [min(free, key=lambda unit: sizes[unit])]
    return chosen
