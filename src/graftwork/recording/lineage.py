"""Where a result comes from: code, data, weights, versions. Nothing here imports a library."""

from __future__ import annotations

import json
import platform
import subprocess
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from graftwork.process.installed import PACKAGES, releases
from graftwork.storage.files import sha256_of

if TYPE_CHECKING:
    from graftwork.storage.artifacts import Artifacts

MAX_DIFF = 4 * 2**20  # bytes of a diff that is kept


def lineage(artifacts: Artifacts, model: str) -> dict[str, str]:
    """Tags of a run. What is not known (no git, no manifest yet) has no tag.

    Args:
        artifacts: the experiment's tree.
        model: name of the model, for its weights' receipt.
    """
    known: Mapping[str, str | None] = {
        **_code(artifacts.shared),
        **data_digests(artifacts.manifest),
        "weights.sha256": _weights_sha256(artifacts.weights(model) / "weights.json"),
        "dvc.lock.sha256": _sha256(_lock_of(artifacts)),
        "version.python": platform.python_version(),
        **{f"version.{name}": found for name, found in releases(*PACKAGES).items()},
    }
    return {key: value for key, value in known.items() if value}


def dirty_diff(folder: Path) -> str | None:
    """What differs from the commit, tracked files only; None where nothing does."""
    diff = _git(folder, "diff", "HEAD", "--no-color", "--no-ext-diff")
    if diff and len(diff) > MAX_DIFF:
        diff = f"{diff[:MAX_DIFF]}\n(cut: {len(diff)} characters in all)\n"
    return diff or None


def dvc_lock(artifacts: Artifacts) -> Path | None:
    """The project's dvc.lock, if this experiment is what `dvc repro` runs."""
    path = _lock_of(artifacts)
    return path if path.is_file() else None


def _lock_of(artifacts: Artifacts) -> Path:
    # A Hydra job has a folder of its own, of which the project's lock says nothing.
    return artifacts.root / "dvc.lock"


def _code(folder: Path) -> dict[str, str | None]:
    commit = _git(folder, "rev-parse", "HEAD")
    status = _git(folder, "status", "--porcelain", "--untracked-files=no") if commit else None
    return {
        "mlflow.source.git.commit": commit and commit.strip(),
        "git.dirty": None if status is None else str(bool(status.strip())).lower(),
        "mlflow.source.type": "LOCAL",
    }


@cache  # the code of a process is what it was when the process began, whatever is edited since
def _git(folder: Path, *arguments: str) -> str | None:
    command = ["git", "-C", str(folder), *arguments]
    try:
        done = subprocess.run(command, capture_output=True, timeout=20, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.decode(errors="replace") if done.returncode == 0 else None


_digests: dict[str, Mapping[str, str]] = {}  # of the last manifest, which a sweep's jobs share


def data_digests(manifest: Path) -> Mapping[str, str]:
    """Of all pictures, and of those whose scores can be compared: the test set's; how many."""
    if not manifest.is_file():
        return {}
    if (content := sha256_of(manifest)) not in _digests:
        from graftwork.data.manifest import digest, of_split, read, usable

        frame = read(manifest)
        _digests.clear()
        _digests[content] = {
            "data.digest": digest(frame),
            "data.test_digest": digest(of_split(frame, "test")),
            "data.pictures": str(len(usable(frame))),
        }
    return _digests[content]


def _weights_sha256(receipt: Path) -> str | None:
    return json.loads(receipt.read_text()).get("sha256") if receipt.is_file() else None


def _sha256(path: Path) -> str | None:
    return sha256_of(path) if path.is_file() else None
