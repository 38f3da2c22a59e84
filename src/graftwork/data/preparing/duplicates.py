"""The same picture twice: which copy counts, and which does not count at all."""

from __future__ import annotations

import pandas as pd

from graftwork.data.manifest import OK

# A picture that is in several splits stays in the last of these that holds it: dropping it from
# train costs a picture, keeping it there would flatter the test.
PRECEDENCE = ("test", "val", "train")
IN_TWO_SPLITS = "duplicate of a picture in "  # and the split
IN_ONE_SPLIT = "duplicate"
CONFLICT = "same picture under several classes: "  # and the classes


def leave_out_conflicts(frame: pd.DataFrame) -> pd.DataFrame:
    """Leaves out every copy of a picture that has several classes: nobody knows the right one.

    Args:
        frame: `sha256`, `class`, `verdict`.
    """
    readable = frame[frame["verdict"] == OK]
    pairs = readable[["sha256", "class"]].drop_duplicates()
    pairs = pairs[pairs["sha256"].duplicated(keep=False)]
    if pairs.empty:
        return frame
    named = pairs.sort_values("class").groupby("sha256")["class"].agg(", ".join)
    classes = readable["sha256"].map(named).dropna()
    frame = frame.copy()
    frame.loc[classes.index, "verdict"] = CONFLICT + classes
    return frame


def leave_out_duplicates(frame: pd.DataFrame) -> pd.DataFrame:
    """Keeps one copy of each picture: that of test, or else of val, train, or without a split.

    Args:
        frame: `sha256`, `split` (None where the data does not say), `verdict`.
    """
    readable = frame[frame["verdict"] == OK]
    rank = readable["split"].map({name: rank for rank, name in enumerate(PRECEDENCE)})
    order = rank.fillna(len(PRECEDENCE)).sort_values(kind="stable").index
    ranked = readable.loc[order]
    again = ranked[ranked["sha256"].duplicated()]
    if again.empty:
        return frame
    kept = ranked.drop_duplicates("sha256").set_index("sha256")["split"]
    kept_split = again["sha256"].map(kept).fillna("")
    same = kept_split == again["split"].fillna("")
    frame = frame.copy()
    frame.loc[again.index, "verdict"] = (IN_TWO_SPLITS + kept_split).mask(same, IN_ONE_SPLIT)
    return frame
