"""What data sets have in common whose files are the user's own: nothing is copied."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from pathlib import Path

from graftwork.datasets.base import Record
from graftwork.errors import UserError, nearest_first


def existing(path: str, what: str) -> Path:
    """The absolute path of something that exists; relative ones count from the project's folder.

    Raises:
        UserError: there is nothing; names close by are offered.
    """
    wanted = Path(path).expanduser().absolute()
    if wanted.exists():
        return wanted
    ancestor = next(parent for parent in wanted.parents if parent.is_dir())
    missing = wanted.relative_to(ancestor).parts[0]
    near = nearest_first(missing, (p.name for p in ancestor.iterdir() if p.name[0] != "."))[:3]
    hint = f" In {ancestor} there is: {', '.join(near)}." if near else f" {ancestor} is empty."
    raise UserError(f"path: no such {what}: {wanted}.{hint} Set dataset.path=...")


def listing(records: Iterable[Record]) -> dict[str, object]:
    """How many pictures there are, for the receipt: by split, then by class."""
    counts = Counter((record.split or "undivided", record.label) for record in records)
    found: dict[str, dict[str, int]] = {}
    for (split, label), count in sorted(counts.items()):
        found.setdefault(split, {})[label] = count
    return {"pictures": sum(counts.values()), "splits": found}
