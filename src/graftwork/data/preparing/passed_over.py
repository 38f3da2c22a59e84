"""What a data set's folder holds besides its pictures, in words: as `download` counted it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from graftwork.data.datasets.base import RECEIPT
from graftwork.data.datasets.left_out import ADVICE, HEIC_SUFFIXES
from graftwork.data.preparing.counted import counted
from graftwork.storage.files import read_receipt

SHOWN = 5  # kinds of files that are named
PHOTOS = frozenset(  # kinds that hold photos, and are not read
    (
        *(".jxl", ".psd", ".tga", ".raw", ".dng", ".cr2", ".cr3"),
        *(".nef", ".arw", ".orf", ".raf", ".rw2"),
    )
)


LOST = "What lies beside the pictures is not told; the stage download makes it again."


def read(raw: Path) -> dict[str, Any]:
    """From the receipt of `download`; nothing where there is none.

    Returns:
        `kinds` (files by suffix), `dangling_links` and `stray_pictures`.
    """
    receipt = read_receipt(raw / RECEIPT, LOST)
    left_out = receipt.get("left_out", {})
    return {
        "kinds": left_out.get("kinds", {}),
        "dangling_links": left_out.get("dangling_links", 0),
        "stray_pictures": receipt.get("outside_of_class_folders", {}).get("pictures", 0),
    }


def findings(passed_over: Mapping[str, Any]) -> list[str]:
    """What a person should know, in words."""
    found = []
    if passed_over["kinds"]:
        found.append(_of_other_kinds(passed_over["kinds"]))
    if stray := passed_over["stray_pictures"]:
        found.append(f"{counted(stray, 'picture')} outside of the class folders.")
    if dangling := passed_over["dangling_links"]:
        verb = "leads" if dangling == 1 else "lead"
        found.append(f"{counted(dangling, 'link')} that {verb} nowhere.")
    return found


def _of_other_kinds(kinds: Mapping[str, int]) -> str:
    several = len(kinds) > 1
    named = [
        f"{f'{count} ' if several else ''}{kind}{_advice(kind, count)}"
        for kind, count in list(kinds.items())[:SHOWN]
    ]
    more = f" and {counted(len(kinds) - SHOWN, 'other kind')}" if len(kinds) > SHOWN else ""
    total = sum(kinds.values())
    what = "file of a kind that is" if total == 1 else "files of kinds that are"
    return f"{total} {what} not read: {', '.join(named)}{more}."


def _advice(kind: str, count: int) -> str:
    if kind in HEIC_SUFFIXES:
        return f" ({ADVICE})"
    if kind not in PHOTOS:
        return ""
    return f" (convert {'it' if count == 1 else 'them'} to JPEG)"
