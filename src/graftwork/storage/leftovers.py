"""What killed processes left lying about: work in progress that nobody goes on with."""

from __future__ import annotations

import os
import re
import shutil
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from graftwork.storage.array_store import ABANDONED_SECONDS
from graftwork.storage.artifacts import Artifacts

CODE = "graftwork-code-"  # copies of this package in the temporary folder, of a process
# Of a project; downloads are gone on with, and no leftovers. The names are those of
# storage.files.beside, of MLflow's store and of the converter.
PATTERNS = (
    *(".*.partial", "mlflow.db.*.partial", "data/.*.partial", "data/*/.*.partial"),
    *("reports/.*.partial", "reports/*/.*.partial", "costs/.*.partial", "exports/.*.partial"),
    *("store/*/.*.partial", "store/*/*/.*.partial", "store/*/*/*.partial"),
    *("store/networks/*/tmp*", "store/downloads/partial/client-*"),
    *("runs/**/.*.partial",),
)


SHARDED = ("answers", "decoded", "features", "prefixes")  # kinds whose folders are an ArrayStore


def leftovers(artifacts: Artifacts) -> list[Path]:
    """Files and folders that no process has written to for a day, or whose process is gone."""
    now = time.time()
    found = {path for pattern in PATTERNS for path in artifacts.project.glob(pattern)}
    found |= {path for kind in SHARDED for path in artifacts.store.glob(f"{kind}/*/*.bin")}
    old = [path for path in sorted(found) if _is_abandoned(path, now)]
    return [*old, *copied_code()]


def _is_abandoned(path: Path, now: float) -> bool:
    if path.suffix == ".bin" and path.with_suffix(".parquet").exists():
        return False
    try:
        newest = max(place.lstat().st_mtime for place in (path, *path.rglob("*")))
    except OSError:  # somebody is at work there
        return False
    return now - newest > ABANDONED_SECONDS


def copied_code() -> Iterator[Path]:
    """Copies that processes left which are no more."""
    for path in Path(tempfile.gettempdir()).glob(f"{CODE}*"):
        number = re.match(rf"{CODE}(\d+)-", path.name)
        if number and not _is_running(int(number[1])) and path.stat().st_uid == os.getuid():
            yield path


def _is_running(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except OSError:  # another user's
        return True
    return True


def remove(path: Path) -> None:
    """A file, or a folder with all in it; not what a link leads to."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)
