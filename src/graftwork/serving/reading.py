"""Photos on their way to the network of a model folder: read, decoded, or told why not."""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from graftwork.data.images import UnreadableImage
from graftwork.features.engines.loading import Batch
from graftwork.model_folder.contents import Contract
from graftwork.serving.views import view_of


@dataclass(frozen=True)
class Photo:
    """A file that was named."""

    path: str
    sha256: str  # of its bytes; empty where they cannot be read
    reason: str  # why it is not asked about; empty where it is


@dataclass(frozen=True)
class PhotoBatch(Batch):
    """A full-sized batch; `keys` are the sha256 of those photos that are asked about."""

    photos: tuple[Photo, ...]  # all that were named, in order


def read_batch(
    paths: Sequence[str],
    contract: Contract,
    batch_size: int,
    passed_over: Callable[[str, str], str] = lambda path, sha256: "",
) -> PhotoBatch:
    """At most `batch_size` photos, loaded now.

    Args:
        passed_over: from path and sha256 to why a photo is not asked about, or nothing.
    """
    spec = contract.input_spec
    images = np.zeros((batch_size, spec.size, spec.size, 3), np.uint8)
    photos: list[Photo] = []
    keys: list[str] = []
    for path in paths:
        sha256 = ""
        try:
            content = _content(path)
            sha256 = hashlib.sha256(content).hexdigest()
            reason = passed_over(path, sha256)
            if not reason:
                images[len(keys)] = view_of(content, contract)
                keys.append(sha256)
        except OSError as error:
            reason = f"cannot be read: {error.strerror}"
        except UnreadableImage as error:
            reason = str(error)
        photos.append(Photo(path, sha256, reason))
    return PhotoBatch(tuple(keys), images, tuple(photos))


def _content(path: str) -> bytes:
    if stat.S_ISREG(os.stat(path).st_mode):
        return Path(path).read_bytes()
    raise UnreadableImage("is no file")  # opening a pipe would wait for ever
