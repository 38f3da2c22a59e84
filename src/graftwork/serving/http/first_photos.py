"""The batch on which an engine is checked before anybody has sent a photo."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from graftwork.features.engines.loading import Batch
from graftwork.model_folder.contents import Contract
from graftwork.serving.reading import read_batch
from graftwork.storage.artifacts import Artifacts


def first_photos(model: Path, contract: Contract, size: int) -> Batch:
    """Test photos of the run whose folder holds the model, else patches of drawn colours.

    Args:
        size: of the batch.
    """
    batch = read_batch(_evaluated(Artifacts.at(model.absolute().parent), size), contract, size)
    return batch if batch.keys else _drawn(contract.input_spec.size, size)


def _evaluated(run: Artifacts, count: int) -> list[str]:
    if not run.predictions.is_file():
        return []
    import pandas as pd

    try:
        return list(pd.read_parquet(run.predictions, columns=["path"])["path"][:count].astype(str))
    except (OSError, ValueError, KeyError):  # ArrowInvalid is a ValueError
        return []


def _drawn(side: int, count: int) -> Batch:
    """Blurred noise: of plain noise networks say nothing that an engine could get wrong."""
    import cv2

    drawn = np.random.default_rng(0).integers(0, 256, (count, 7, 7, 3), np.uint8)
    grown = [cv2.resize(patch, (side, side), interpolation=cv2.INTER_CUBIC) for patch in drawn]
    return Batch(tuple(map(str, range(count))), np.stack(grown))
