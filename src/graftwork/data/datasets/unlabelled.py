"""Photos without labels, of where the model will be used: they say how far new photos are.

Their folder is walked at any depth, whatever its folders are called. Nothing is learned from them
and nothing is measured on them.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain
from pathlib import Path

from graftwork.config.errors import UserError
from graftwork.data.datasets.base import UNLABELLED, Dataset, Record
from graftwork.data.datasets.class_folders import image_suffixes, pictures
from graftwork.data.datasets.left_out import LeftOut
from graftwork.data.datasets.own_files import existing

KEY = "unlabelled"  # of the data set
REMEDY = "Set dataset.unlabelled to a folder of photos, or to null."


def check(dataset: Dataset) -> None:
    """Raises UserError for a folder that is missing, holds no picture, or holds labelled ones."""
    if dataset.unlabelled is None:
        return
    root = existing(dataset.unlabelled, "folder", KEY)
    if not root.is_dir():
        raise UserError(f"dataset.unlabelled: {root} is a file. {REMEDY}")
    _check_apart(root, dataset)
    left_out = LeftOut()
    if not any(True for _ in pictures(root, root.parent, left_out)):
        instead = f" It holds {left_out}." if str(left_out) else ""
        raise UserError(
            f"dataset.unlabelled: no pictures in {root}.{instead} Legal: "
            f"{' '.join(sorted(image_suffixes()))}. {REMEDY}"
        )


def _check_apart(root: Path, dataset: Dataset) -> None:
    """A folder among class folders would be a class, or a split, as well."""
    labelled = dataset.labelled_folder()
    if labelled is None:
        return
    ours, theirs = root.resolve(), labelled.resolve()
    if ours == theirs or theirs in ours.parents:
        raise UserError(
            f"dataset.unlabelled: {root} lies in dataset.path ({labelled}), whose folders are "
            "classes. Move it out of there, and set dataset.unlabelled to its new place."
        )


def records(dataset: Dataset, left_out: LeftOut | None = None) -> Iterator[Record]:
    """Every photo without a label, streamed, in a fixed order; none where there is no folder.

    Args:
        left_out: counts what lies there and is no picture.
    """
    if dataset.unlabelled is None:
        return
    root = existing(dataset.unlabelled, "folder", KEY)
    for path in pictures(root, root.parent, left_out):
        yield Record(path, "", UNLABELLED)


def listed(dataset: Dataset, raw: Path, left_out: LeftOut | None = None) -> Iterator[Record]:
    """What the data set lists, and then its photos without labels; see `records`."""
    return chain(dataset.records(raw), records(dataset, left_out))
