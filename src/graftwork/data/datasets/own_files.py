"""What data sets have in common whose files are the user's own: nothing is copied."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from graftwork.config.errors import UserError, nearest_first
from graftwork.data.datasets.base import RECEIPT, Record
from graftwork.data.datasets.left_out import legible
from graftwork.storage.files import read_sealed, write_sealed

PUBLISHED = "a published data set"


def existing(path: str, what: str, key: str = "path") -> Path:
    """The absolute path of something that exists; relative ones count from the project's folder.

    Args:
        path: as the user wrote it.
        what: `file` or `folder`, for the message.
        key: of the data set, where the path stands.

    Raises:
        UserError: there is nothing; names close by are offered.
    """
    wanted = Path(path).expanduser().absolute()
    try:
        if wanted.exists():
            return wanted
        hint = _near(wanted)
    except PermissionError as error:
        raise UserError(
            f"dataset.{key}: {wanted} cannot be looked for: {legible(error.filename)}: "
            f"{error.strerror}. Let the folders above it be read (chmod u+rx)."
        ) from error
    raise UserError(f"dataset.{key}: no such {what}: {wanted}.{hint} Set dataset.{key}=...")


def _near(wanted: Path) -> str:
    """What there is instead."""
    ancestor = next(parent for parent in wanted.parents if parent.is_dir())
    missing = wanted.relative_to(ancestor).parts[0]
    names = (legible(path.name) for path in ancestor.iterdir() if path.name[0] != ".")
    near = nearest_first(missing, names)[:3]
    return f" In {ancestor} there is: {', '.join(near)}." if near else f" {ancestor} is empty."


def leave_receipt(raw: Path, name: str, kind: str, facts: Mapping[str, Any]) -> None:
    """Writes what was found, unless the place is taken.

    Args:
        kind: of data set, such as `a CSV table`.
        facts: `origin` and what else there is to say.

    Raises:
        UserError: a data set of another kind has left its receipt there.
    """
    found = _receipt(raw / RECEIPT)
    other = found.get("kind", PUBLISHED if "sha256" in found else kind)
    if other != kind:
        raise UserError(
            f"dataset.name: '{name}' is taken: {raw} belongs to {other} "
            f"({found.get('dataset')}, from {found.get('origin')}), and this is {kind} "
            f"({facts['origin']}). Choose another name, such as dataset.name=my_{name}, or remove "
            "that folder."
        )
    write_sealed(raw / RECEIPT, {"dataset": name, "kind": kind, **facts})


def _receipt(path: Path) -> dict[str, Any]:
    return read_sealed(path) or {}


def listing(records: Iterable[Record]) -> dict[str, object]:
    """How many pictures there are, for the receipt: by split, then by class."""
    counts = Counter((record.split or "undivided", record.label) for record in records)
    found: dict[str, dict[str, int]] = {}
    for (split, label), count in sorted(counts.items()):
        found.setdefault(split, {})[label] = count
    return {"pictures": sum(counts.values()), "splits": found}
