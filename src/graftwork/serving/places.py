"""Where what a model folder is converted to is kept."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from graftwork.process.terminal import visible
from graftwork.storage.artifacts import Artifacts


@dataclass(frozen=True)
class Found:
    """A model folder, and where it comes from in words that whoever asks may read."""

    folder: Path
    source: str  # "folder", "run:ID", or the alias, version and run of a registry


def project_of(model: Path) -> Artifacts | None:
    """The project that a model folder lies in, or else that of the current folder: the nearest
    folder with a store of pictures or networks. None: there is none."""
    places = [*model.absolute().parents, Path.cwd()]
    stores = (Artifacts.at(place) for place in places)
    return next((a for a in stores if a.decoded.is_dir() or a.trained.is_dir()), None)


@contextmanager
def kept_networks(model: Path) -> Iterator[Path]:
    """The folder for converted networks: in the project's store; without a project in a folder
    `store` beside the model; where that cannot be written, for the moment only. Both are said."""
    if (project := project_of(model)) is not None:
        yield project.trained
        return
    beside = Artifacts.at(model.absolute().parent)
    if os.access(beside.root, os.W_OK):
        print(f"The converted network is kept in {visible(beside.trained)}")
        yield beside.trained
        return
    with tempfile.TemporaryDirectory(prefix="graftwork-") as folder:
        print(f"{visible(beside.root)} cannot be written: the converted network is not kept.")
        yield Artifacts.at(folder).trained
