"""Pictures kept decoded, so that no epoch, sweep or stage decodes them again."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np

from graftwork.config.errors import UserError
from graftwork.data.datasets.base import Dataset
from graftwork.data.images.decoding import POLICY, decode
from graftwork.storage.array_store import ArrayStore
from graftwork.storage.artifacts import Artifacts


def decoded_store(artifacts: Artifacts, dataset: Dataset) -> ArrayStore:
    """sha256 of the file to uint8 RGB `[height, width, 3]`, shorter side at most decoded_side.

    One for each side and each policy of decoding: all data sets of the project share it.
    """
    return ArrayStore(artifacts.decoded / f"{dataset.decoded_side}-{POLICY}", "uint8")


class DecodedImages:
    """Pictures by content: from the decoded store, or else decoded from their file.

    Threads may share one; a forked or spawned worker gets its own view of the same pages.
    """

    def __init__(self, artifacts: Artifacts, dataset: Dataset) -> None:
        self._store = decoded_store(artifacts, dataset)
        self._dataset = dataset

    def get(self, sha256: str, path: str | Path) -> np.ndarray:
        """uint8 RGB `[height, width, 3]`, read-only where it comes from the store.

        One that is damaged there is decoded from its file, and stored again by the next `prepare`.

        Raises:
            UserError: it is not in the store, and its file is no longer what it was.
        """
        if (stored := self._store.get(sha256)) is not None:
            return stored
        try:
            content = self._dataset.open(path)
        except OSError as error:
            raise UserError(f"{path}: {error.strerror}. {_REMEDY}") from error
        if hashlib.sha256(content).hexdigest() != sha256:
            raise UserError(f"{path}: no longer the picture that was prepared. {_REMEDY}")
        return decode(content, self._dataset.max_pixels, self._dataset.decoded_side)


_REMEDY = "Run `dvc repro prepare`."
