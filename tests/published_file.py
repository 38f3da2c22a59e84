"""A published data set whose file is a local stand-in."""

from __future__ import annotations

from pathlib import Path

from conftest import composed

from graftwork.config.components import build
from graftwork.data.datasets.base import Dataset
from graftwork.storage.files import sha256_of


def of_file(name: str, file: Path, *overrides: str) -> Dataset:
    values = composed(f"dataset={name}", *overrides)["dataset"]
    values["source"] = {
        "_target_": "graftwork.data.sources.file.LocalFile",
        "path": str(file),
        "size": file.stat().st_size,
        "sha256": sha256_of(file),
    }
    return build(values, Dataset, "dataset")
