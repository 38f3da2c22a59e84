"""Photos without labels: which of them count, and what the report says of them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd

from graftwork.config.errors import UserError
from graftwork.data.datasets.base import UNLABELLED
from graftwork.data.manifest import OK
from graftwork.data.preparing import duplicates, passed_over
from graftwork.data.preparing.counted import counted
from graftwork.data.preparing.listing import listed

COPY = "copy of a picture with a label"
SHOWN = 3  # files in a message


def are(frame: pd.DataFrame) -> pd.Series:
    """Whether each row is a photo without a label."""
    return frame["split"] == UNLABELLED


def judge(frame: pd.DataFrame, labelled: pd.DataFrame) -> pd.DataFrame:
    """Leaves out copies, of labelled pictures first: these never give way.

    Args:
        frame: photos without labels: `sha256`, `verdict`.
        labelled: the other files, with the same columns.

    Raises:
        UserError: none of the photos counts.
    """
    frame = frame.copy()
    readable = frame["verdict"] == OK
    copies = readable & frame["sha256"].isin(labelled["sha256"])
    again = readable & ~copies & frame["sha256"].where(readable).duplicated()
    frame.loc[copies, "verdict"] = COPY
    frame.loc[again, "verdict"] = duplicates.IN_ONE_SPLIT
    if not (frame["verdict"] == OK).any():
        some = zip(frame["path"].head(SHOWN), frame["verdict"].head(SHOWN), strict=True)
        raise UserError(
            f"dataset.unlabelled: none of {counted(len(frame), 'photo')} counts:"
            f"{''.join(f'{chr(10)}  {path}: {verdict}' for path, verdict in some)}\n"
            "Name a folder of photos that are new, or set dataset.unlabelled=null."
        )
    return frame


def describe(frame: pd.DataFrame, beside: Mapping[str, Any]) -> dict[str, Any]:
    """For the report; see `findings`.

    Args:
        frame: photos without labels, judged.
        beside: what lies in their folder besides pictures: `LeftOut.receipt`.
    """
    verdict = frame["verdict"]
    copies = verdict.isin((COPY, duplicates.IN_ONE_SPLIT))
    return {
        "listed": len(frame),
        "usable": int((verdict == OK).sum()),
        "unreadable": listed(frame[(verdict != OK) & ~copies]),
        "copies": listed(frame[copies]),
        "passed_over": {**beside, "stray_pictures": 0},
    }


def findings(found: Mapping[str, Any]) -> list[str]:
    """What a person should know, in words; nothing where there are no such photos.

    Args:
        found: of `describe`.
    """
    if not found["listed"]:
        return []
    said = [f"{counted(found['usable'], 'photo')} without labels, of where the model will be used."]
    about = "Among the photos without labels:"
    if bad := found["unreadable"]["count"]:
        said.append(f"{about} {counted(bad, 'file')} cannot be used.")
    if copies := found["copies"]["count"]:
        which = "a copy" if copies == 1 else f"{copies} copies"
        said.append(f"{about} {which} of a picture that is there already, left out.")
    return said + [f"{about} {text}" for text in passed_over.findings(found["passed_over"])]
