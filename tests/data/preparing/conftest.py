from __future__ import annotations

import pytest
from listed_photos import Photos

from graftwork.storage.artifacts import Artifacts


@pytest.fixture
def photos(tmp_path) -> Photos:
    (tmp_path / "photos").mkdir()
    return Photos(tmp_path / "photos")


@pytest.fixture
def divided(photos) -> Photos:
    """Two classes in three splits: 4, 1 and 2 photos each."""
    for split, count in (("train", 4), ("val", 1), ("test", 2)):
        for label in ("pear", "apple"):
            photos.add(label, split, count)
    return photos


@pytest.fixture
def artifacts(tmp_path) -> Artifacts:
    return Artifacts.at(tmp_path / "experiment")
