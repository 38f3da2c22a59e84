"""Predictions per image, by content: what paired comparisons and error analysis start from."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from graftwork.metrics.log_loss import log_losses

if TYPE_CHECKING:
    import pandas as pd


def write(path: Path, frame: pd.DataFrame, names: Sequence[str], probabilities: np.ndarray) -> None:
    """One row a picture: sha256, path, predicted, probability (of the predicted class) and
    probabilities (a list, in the order of classes.json); with labels class and log_loss (nats).

    Args:
        path: of the Parquet file.
        frame: rows of the manifest (sha256, path, perhaps label), in the order of `probabilities`.
        names: of the classes.
        probabilities: `[n, num_classes]`.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    labels = frame["label"].to_numpy() if "label" in frame else None
    taken = np.asarray(names, dtype=object)
    rows = pa.array(np.ascontiguousarray(probabilities).ravel())
    columns = {
        "sha256": pa.array(frame["sha256"], pa.string()),
        "path": pa.array(frame["path"].astype(str), pa.string()),
        "class": None if labels is None else pa.array(taken[labels], pa.string()),
        "predicted": pa.array(taken[probabilities.argmax(axis=1)], pa.string()),
        "probability": pa.array(probabilities.max(axis=1)),
        "log_loss": None if labels is None else pa.array(log_losses(probabilities, labels)),
        "probabilities": pa.FixedSizeListArray.from_arrays(rows, probabilities.shape[1]),
    }
    table = pa.table({name: column for name, column in columns.items() if column is not None})
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(table, path)


def read(path: Path, names: Sequence[str]) -> tuple[pd.DataFrame, np.ndarray] | None:
    """Rows (sha256, path, of labelled ones class and label) and probabilities that `write` wrote;
    None without a file.

    Args:
        names: of the classes.
    """
    import pandas as pd

    if not path.is_file():
        return None
    frame = pd.read_parquet(path)
    rows = frame[["sha256", "path"]]
    if "class" in frame:
        label = {name: index for index, name in enumerate(names)}
        rows = rows.assign(**{"class": frame["class"], "label": frame["class"].map(label)})
    return rows, np.stack(frame["probabilities"].to_list()).astype(np.float32)
