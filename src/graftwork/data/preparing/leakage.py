"""One picture in several splits: scores on it say how well it is remembered.

Exact copies are always left out of all splits but one (`duplicates`). What becomes of those that
were resized, recompressed, cut, mirrored or turned says `dataset.leakage`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from graftwork.config.errors import UserError
from graftwork.data.manifest import OK
from graftwork.data.preparing import same_pictures
from graftwork.data.preparing.counted import counted
from graftwork.data.preparing.duplicates import IN_TWO_SPLITS, PRECEDENCE
from graftwork.data.preparing.listing import LISTED

IN_OTHER_BYTES = (
    "resized, recompressed, cut, mirrored or turned copy of a picture in "  # and the split
)
SHOWN = 5  # files in a message


def shown_by(frame: pd.DataFrame) -> pd.Series:
    """What each file shows: the sha256 of one of those that show it, whatever their order.

    Args:
        frame: `sha256`, `width`, `height`, and `look`, of at least one file of each content that
            can be read.

    Returns:
        `[files]`, None of files that cannot be read.
    """
    seen = frame[frame["look"].notna()].drop_duplicates("sha256").set_index("sha256").sort_index()
    pixels = np.frombuffer(b"".join(seen["look"]), np.uint8)
    looks = pixels.reshape(-1, same_pictures.SIDE, same_pictures.SIDE)
    first = same_pictures.groups(looks, seen[["width", "height"]].min(axis=1).to_numpy())
    return frame["sha256"].map(pd.Series(seen.index[first], seen.index))


def kept_together(usable: pd.DataFrame) -> pd.Series:
    """Groups, of which splits that are made part none: what shows one picture is one, too."""
    several = usable["shows"].notna() & usable["shows"].duplicated(keep=False)
    return usable["group"].where(usable["group"].notna() | ~several, usable["shows"])


def judge(divided: pd.DataFrame, policy: str) -> pd.DataFrame:
    """Pictures in several splits are left out of all but test, or else val, if `policy` is drop.

    Args:
        divided: `path`, `sha256`, `class`, `split`, `verdict` and `shows`, of files with a label.

    Raises:
        UserError: there are some, exact copies among them, and `policy` is stop.
    """
    late = _late(divided)
    if policy == "stop" and len(late):
        raise UserError(
            f"dataset: {_also(len(late))}:{_pairs(late)}\n"
            "Remove them, or set dataset.leakage=drop, which leaves them out."
        )
    if policy == "drop":
        late = late[late["verdict"] == OK]
        divided = divided.copy()
        divided.loc[late.index, "verdict"] = IN_OTHER_BYTES + late["kept_in"]
    return divided


def _late(divided: pd.DataFrame) -> pd.DataFrame:
    """Files that show what a split behind theirs shows: `kept_in` says which, `same_as` where,
    `same_sha256` by which bytes."""
    verdict = divided["verdict"]
    copies = verdict.str.startswith(IN_TWO_SPLITS) | verdict.str.startswith(IN_OTHER_BYTES)
    known = divided[divided["shows"].notna() & ((verdict == OK) | copies)]
    rank = known["split"].map({name: rank for rank, name in enumerate(PRECEDENCE)})
    ordered = known.assign(rank=rank).sort_values(["rank", "sha256", "path"])
    kept = ordered.drop_duplicates("shows").set_index("shows")
    found = known.assign(
        kept_in=known["shows"].map(kept["split"]),
        same_as=known["shows"].map(kept["path"]),
        same_sha256=known["shows"].map(kept["sha256"]),
    )
    return found[found["split"] != found["kept_in"]]


def _also(number: int) -> str:
    verb = "is" if number == 1 else "are"
    return f"{counted(number, 'picture')} of train or val {verb} also in another split"


def _pairs(late: pd.DataFrame) -> str:
    rows = [f"\n  {r.path} ({r.split}): {r.same_as} ({r.kept_in})" for r in late.itertuples()]
    more = f"\n  and {len(rows) - SHOWN} more" if len(rows) > SHOWN else ""
    return "".join(rows[:SHOWN]) + more


def describe(divided: pd.DataFrame) -> dict[str, Any]:
    """For the report, exact copies left out: these are told elsewhere."""
    late = _late(divided)
    late = late[~late["verdict"].str.startswith(IN_TWO_SPLITS)]
    usable = divided[(divided["verdict"] == OK) & divided["shows"].notna()]
    again = usable[usable.duplicated(["shows", "split"])]
    told = ["path", "class", "split", "sha256", "kept_in", "same_as", "same_sha256"]
    files = late[told].head(LISTED)
    return {
        "within_splits": len(again),
        "across_splits": {"count": len(late), "files": files.to_dict("records")},
        "several_classes": int((usable.groupby("shows")["class"].nunique() > 1).sum()),
    }


def findings(found: Mapping[str, Any], policy: str) -> list[str]:
    """What a person should know, in words.

    Args:
        found: of `describe`.
    """
    how = "resized, recompressed, cut, mirrored or turned"
    said = []
    if again := found["within_splits"]:
        verb = "is another of its" if again == 1 else "are others of their"
        said.append(f"{counted(again, 'picture')} {verb} split, {how}.")
    if late := found["across_splits"]["count"]:
        them = "it" if late == 1 else "them"
        what = f"{_also(late)}, {how}"
        said.append(
            f"{what}: left out there."
            if policy == "drop"
            else f"{what}. dataset.leakage=drop leaves {them} out."
        )
    if several := found["several_classes"]:
        verb = "has" if several == 1 else "have"
        said.append(f"{counted(several, 'picture')}, {how}, {verb} several classes.")
    return said
