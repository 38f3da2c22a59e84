"""What published data sets have in common that are unpacked to one folder a class, and large."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from graftwork.config.errors import UserError, check_choice, check_range
from graftwork.data.datasets.base import Record
from graftwork.data.datasets.class_folders import class_folders, pictures
from graftwork.data.datasets.published import Published


@dataclass(frozen=True)
class PublishedFolders(Published):
    """Lies as `<split>/<class>/...`, of which a part can be taken: some classes, some pictures."""

    classes: list[str] | None  # only these; null: all
    limit_per_class: int | None  # the first so many pictures of each class and split; null: all

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.limit_per_class is not None:
            check_range("limit_per_class", self.limit_per_class, 1)
        if self.classes is not None:
            _check_classes(self.classes, self.class_names)

    @property
    @abstractmethod
    def class_names(self) -> tuple[str, ...]:
        """Every class of the data set; index = label."""

    def records(self, raw: Path) -> Iterator[Record]:
        """Training and test pictures: val is made of the former."""
        for folder in class_folders(raw):
            if self.classes is None or folder.label in self.classes:
                for path in islice(pictures(folder.path, raw), self.limit_per_class):
                    yield Record(path, folder.label, folder.split)


def _check_classes(chosen: list[str], legal: tuple[str, ...]) -> None:
    for name in chosen:
        check_choice("classes", name, legal)
    if len(set(chosen)) < 2:
        raise UserError(
            f"classes: {chosen} is fewer than two classes. Name another one of "
            f"{', '.join(name for name in legal if name not in chosen)}; or classes=null for all."
        )
