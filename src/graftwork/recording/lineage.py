"""Where a result comes from: code, data, weights, versions. Nothing here imports a library."""

from __future__ import annotations

import json
import platform
import subprocess
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from graftwork.config.errors import UserError
from graftwork.features.engines.backbone import receipt
from graftwork.process.installed import PACKAGES, releases
from graftwork.storage.files import sha256_of

if TYPE_CHECKING:
    from graftwork.experiment import Experiment
    from graftwork.storage.artifacts import Artifacts

MAX_DIFF = 4 * 2**20  # bytes of a diff that is kept


def lineage(artifacts: Artifacts, start: Mapping[str, Any] | None) -> dict[str, str]:
    """Tags of a run. What is not known (no git, no manifest yet) has no tag.

    Args:
        artifacts: the experiment's tree.
        start: what is known of the weights that training begins from; see `start_of`.
    """
    known: Mapping[str, str | None] = {
        **_code(artifacts.shared),
        **data_digests(artifacts.manifest),
        **_weights(start or {}),
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


def start_of(experiment: Experiment, artifacts: Artifacts) -> Mapping[str, Any] | None:
    """What is known of the weights that it begins from; None for random ones, and where they are
    not there."""
    try:
        return receipt(experiment, artifacts)
    except UserError:
        return None


def _weights(start: Mapping[str, Any]) -> dict[str, str | None]:
    """Of weights of an earlier run also which one, and on what it and those before were trained."""
    tags = {"weights.sha256": start.get("sha256"), "start.origin": start.get("origin")}
    if "data_digest" in start:
        tags |= {f"start.{name}": str(start[name]) for name in ("strategy", "data_digest")}
        tags["start.classes"] = ", ".join(start["classes"])
        tags["start.earlier"] = json.dumps(start["earlier"]) if start["earlier"] else None
    return tags


def _sha256(path: Path) -> str | None:
    return sha256_of(path) if path.is_file() else None
