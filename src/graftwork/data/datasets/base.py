"""What every data set offers, and how missing splits are made."""

from __future__ import annotations

import math
import re
import warnings
from abc import abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from graftwork.config.components import Component
from graftwork.config.errors import UserError, check_choice, check_range

if TYPE_CHECKING:
    import pandas as pd

    from graftwork.models.base import InputSpec

RECEIPT = "source.json"  # in a data set's folder: what `download` brought or found
UNLABELLED = "unlabelled"  # the split of photos without labels


@dataclass(frozen=True)
class Record:
    """One picture, before anybody has looked at it."""

    path: Path  # absolute; inside of another file: what the data set's `open` understands
    label: str  # class name; empty: unlabelled
    split: str | None  # train, val, test or unlabelled; None: the data does not say
    group: str | None = None  # pictures of one group never part (same object, same patient)


@dataclass(frozen=True)
class Splits(Component):
    """How splits that the data does not bring are made: stratified by class and seeded."""

    val_fraction: float  # of the pictures without a split, [0, 1)
    test_fraction: float  # likewise; taken only where the data has no test split of its own
    seed: int
    train_per_class: int | None  # keeps so many training pictures of each class; null: all

    def __post_init__(self) -> None:
        check_range("val_fraction", self.val_fraction, 0, 0.9)
        check_range("test_fraction", self.test_fraction, 0, 0.9)
        if self.train_per_class is not None:
            check_range("train_per_class", self.train_per_class, 1)


@dataclass(frozen=True)
class Dataset(Component):
    """A labelled image data set."""

    name: str  # folder under data/raw
    licence: str | None  # of the pictures, as their source states it; null: not known
    watched: str  # path whose content `dvc repro` watches: the user's own files, where there are
    decoded_side: int  # pictures are kept decoded at this shorter side, px; never enlarged
    decoded_budget_gib: float  # a set that decodes to more is decoded anew each time instead
    max_pixels: int  # larger pictures are refused before they are decoded
    unreadable: str  # skip: leave out and list; stop: end the stage
    leakage: str  # a picture in several splits: report, drop (kept in one) or stop
    unlabelled: str | None  # folder of photos of where the model will be used; null: none
    unlabelled_watched: dict[str, str]  # folder: what `dvc repro` watches of it, a path always
    splits: Splits

    def __post_init__(self) -> None:
        if not re.fullmatch(r"\w[\w.-]*", self.name):
            raise UserError(
                f"name: '{self.name}' cannot name a folder. Legal: letters, digits, '-', '_', '.'."
            )
        check_range("decoded_side", self.decoded_side, 8)
        check_range("decoded_budget_gib", self.decoded_budget_gib, 0)
        check_range("max_pixels", self.max_pixels, 1)
        check_choice("unreadable", self.unreadable, ("skip", "stop"))
        check_choice("leakage", self.leakage, ("report", "drop", "stop"))

    def check(self) -> None:  # noqa: B027
        """Raises UserError for what can be known before any work: a missing or empty folder."""

    def labelled_folder(self) -> Path | None:
        """The folder whose folders are classes, where it is the user's own."""
        return None

    def warn_if_enlarged(self, input_spec: InputSpec) -> None:
        """Says so where pictures are kept smaller than a network wants to see them."""
        wanted = math.ceil(input_spec.size / input_spec.crop_pct)
        if self.decoded_side < wanted:
            warnings.warn(
                f"dataset.decoded_side: pictures are kept at {self.decoded_side} px, the network "
                f"looks at {wanted} px of their shorter side: they are enlarged. Set "
                f"dataset.decoded_side={wanted} or more.",
                stacklevel=2,
            )

    @abstractmethod
    def download(self, raw: Path, downloads: Path) -> None:
        """Brings the data into `raw`, verified; does nothing where it already is.

        Args:
            raw: folder for this data set.
            downloads: folder where archives are kept by hash.
        """

    def damaged(self, raw: Path, looked_at: pd.DataFrame) -> list[Path]:
        """Files in `raw` that are no longer what `download` brought, as far as it knows.

        Args:
            looked_at: columns `path` and `sha256` of the pictures that have just been read.
        """
        return []

    def open(self, ref: str | Path) -> bytes:
        """The bytes of a picture, wherever it stands: of its file, unless a data set says else.

        Args:
            ref: `path` of a record, and of the manifest. Called from many threads.

        Raises:
            OSError: it cannot be read.
        """
        return Path(ref).read_bytes()

    def file_of(self, ref: str | Path) -> Path:
        """The file whose time of change tells whether the picture may be another one."""
        return Path(ref)

    @abstractmethod
    def records(self, raw: Path) -> Iterator[Record]:
        """Every labelled picture, streamed, in a fixed order."""
