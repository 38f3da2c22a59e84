"""What an experiment takes of the disk."""

from __future__ import annotations

import stat
from collections.abc import Iterator
from pathlib import Path

from rich.filesize import decimal

from graftwork.storage.artifacts import Artifacts


def disk_use(artifacts: Artifacts) -> str:
    """Bytes that go with the experiment's files, and those that others hold, too, in words.

    A backbone is one file under several names: that of the model folder, of MLflow's record and,
    where nobody trained it, of the store and other experiments. Photos and store are the project's.
    """
    own, linked = 0, 0
    for path in _files(artifacts):
        found = path.lstat()
        if stat.S_ISLNK(found.st_mode) or found.st_nlink > 1:
            linked += path.stat().st_size
        else:
            own += found.st_size
    held = f"; {decimal(linked)} shared with MLflow's record and perhaps the store"
    return f"{decimal(own)} of its own{held if linked else ''}"


def _files(artifacts: Artifacts) -> Iterator[Path]:
    """Of this experiment alone, which may lie in the project's own folder."""
    prepared = (artifacts.manifest, artifacts.classes, artifacts.data_report)
    singles = (*prepared, artifacts.feature_receipt, artifacts.params, artifacts.run)
    for folder in (artifacts.model, artifacts.metrics.parent, artifacts.cost("any").parent):
        yield from (path for path in folder.rglob("*") if path.is_file())
    yield from (path for path in singles if path.is_file())
