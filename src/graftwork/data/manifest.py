"""The manifest: one row a listed picture, usable or not.

| column        | type |                                                                        |
|---------------|------|------------------------------------------------------------------------|
| path          | str  | absolute; inside of another file: as the data set's `open` understands |
| label         | int  | position in classes.json; -1 where the class has no usable pictures    |
| class         | str  | as the data says; empty: a photo without a label                       |
| split         | str  | train, val or test; empty where neither the data nor prepare gives one |
|               |      | unlabelled: a photo of where the model will be used, with label -1     |
| sha256        | str  | of the file's bytes; empty where it could not be read                  |
| width, height | int  | px, upright; 0 where it could not be read                              |
| verdict       | str  | "ok", or why it is left out                                            |
| group         | str  | as the data says: pictures that never part; empty where it is unknown  |
| taken         | float| capture time in s since the epoch, by the camera's clock; NaN: unknown |
"""

from __future__ import annotations

import hashlib
from pathlib import Path

import pandas as pd

from graftwork.config.errors import UserError
from graftwork.data.datasets.base import UNLABELLED
from graftwork.storage.files import beside, named, read_json

OK = "ok"
SPLITS = ("train", "val", "test")
COLUMNS = (
    *("path", "label", "class", "split", "sha256"),
    *("width", "height", "verdict", "group", "taken"),
)
_AGAIN = (
    "Run `dvc repro --force prepare`, or for a run in a folder of its own "
    "`python -m pipelines.prepare --root FOLDER --shared .`."
)
_AT_ONCE = 1 << 16  # rows whose text is joined at once


def write(frame: pd.DataFrame, path: Path) -> None:
    """Writes `COLUMNS`, ordered by content so that the order of files on disk does not matter."""
    path.parent.mkdir(parents=True, exist_ok=True)
    ordered = frame[list(COLUMNS)].sort_values(["split", "sha256", "path"], kind="stable")
    partial = beside(path)
    try:
        with named(path):
            ordered.to_parquet(partial, index=False, write_page_checksum=True)
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


def read(path: Path) -> pd.DataFrame:
    """The manifest, in its fixed order.

    Raises:
        UserError: it is not there, or damaged, or an earlier version wrote it, without columns that
            are needed now.
    """
    if not path.is_file():
        raise UserError(f"{path}: no such file. {_AGAIN}")
    try:
        frame = pd.read_parquet(path, page_checksum_verification=True)
    except (OSError, ValueError, KeyError) as error:  # ArrowInvalid is a ValueError
        reason = (str(error).splitlines() or [repr(error)])[0]
        raise UserError(f"{path}: damaged ({reason}). {_AGAIN}") from error
    if missing := [name for name in COLUMNS if name not in frame]:
        raise UserError(
            f"{path}: an earlier version wrote this manifest, without {', '.join(missing)}. "
            f"{_AGAIN}"
        )
    return frame


def read_classes(path: Path) -> list[str]:
    """Names of the classes; position = label.

    Raises:
        UserError: classes.json is not there, or damaged.
    """
    found = read_json(path, _AGAIN)
    if not isinstance(found, list) or not all(isinstance(name, str) for name in found):
        raise UserError(f"{path}: damaged, no list of names. {_AGAIN}")
    return found


def usable(frame: pd.DataFrame) -> pd.DataFrame:
    """The rows that training and evaluation see, each content once: all of them have a label."""
    labelled = frame["split"] != UNLABELLED
    return frame[labelled & (frame["verdict"] == OK)].reset_index(drop=True)


def seen(frame: pd.DataFrame) -> pd.DataFrame:
    """The rows that the frozen backbone sees: the usable ones, and photos without labels."""
    return frame[frame["verdict"] == OK].reset_index(drop=True)


def of_split(frame: pd.DataFrame, split: str) -> pd.DataFrame:
    """The usable rows of train, val, test or unlabelled, in the manifest's order (by sha256)."""
    assert split in (*SPLITS, UNLABELLED), split
    return frame[(frame["split"] == split) & (frame["verdict"] == OK)].reset_index(drop=True)


def digest(frame: pd.DataFrame) -> str:
    """The data digest: sha256 over content, class and split of every usable row.

    Where the files lie and in which order they are listed does not change it, nor do photos
    without labels.
    """
    rows = usable(frame).sort_values(["split", "sha256"], kind="stable")
    text = rows["sha256"] + " " + rows["label"].astype(str) + " " + rows["class"]
    text += " " + rows["split"] + "\n"
    result = hashlib.sha256()
    for start in range(0, len(text), _AT_ONCE):
        result.update("".join(text.iloc[start : start + _AT_ONCE]).encode())
    return result.hexdigest()
