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
    """One row a picture: sha256, path, class, predicted, probability (of the predicted class),
    log_loss (nats) and probabilities (a list, in the order of classes.json).

    Args:
        path: of the Parquet file.
        frame: rows of the manifest (sha256, path, label), in the order of `probabilities`.
        names: of the classes.
        probabilities: `[n, num_classes]`.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    labels = frame["label"].to_numpy()
    taken = np.asarray(names, dtype=object)
    rows = pa.array(np.ascontiguousarray(probabilities).ravel())
    table = pa.table(
        {
            "sha256": pa.array(frame["sha256"], pa.string()),
            "path": pa.array(frame["path"].astype(str), pa.string()),
            "class": pa.array(taken[labels], pa.string()),
            "predicted": pa.array(taken[probabilities.argmax(axis=1)], pa.string()),
            "probability": pa.array(probabilities.max(axis=1)),
            "log_loss": pa.array(log_losses(probabilities, labels)),
            "probabilities": pa.FixedSizeListArray.from_arrays(rows, probabilities.shape[1]),
        }
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(table, path)


def read(path: Path, names: Sequence[str]) -> tuple[pd.DataFrame, np.ndarray] | None:
    """Rows (sha256, path, class, label) and probabilities that `write` wrote; None without a file.

    Args:
        names: of the classes.
    """
    import pandas as pd

    if not path.is_file():
        return None
    frame = pd.read_parquet(path)
    label = {name: index for index, name in enumerate(names)}
    rows = frame[["sha256", "path", "class"]].assign(label=frame["class"].map(label))
    return rows, np.stack(frame["probabilities"].to_list()).astype(np.float32)
