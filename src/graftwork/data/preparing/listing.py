"""Files in the data report: their number, and the first of them."""

from __future__ import annotations

from typing import Any

import pandas as pd

LISTED = 1000  # files of one kind that the report names; the counts are always complete


def listed(rows: pd.DataFrame) -> dict[str, Any]:
    """`count` and `files` of these rows of the manifest, ready for JSON."""
    files = rows[["path", "class", "split", "verdict"]].head(LISTED).to_dict("records")
    return {"count": len(rows), "files": files}
