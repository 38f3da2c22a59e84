from __future__ import annotations

import hashlib
from io import BytesIO

import numpy as np
import pytest
from PIL import Image

from graftwork.config.errors import UserError
from graftwork.data.datasets.base import Splits
from graftwork.data.datasets.folder import Folder
from graftwork.data.images import DecodedImages, decoded_store
from graftwork.storage.artifacts import Artifacts


@pytest.fixture
def dataset(tmp_path):
    splits = Splits(val_fraction=0.1, test_fraction=0.1, seed=0, train_per_class=None)
    return Folder(
        "own", None, ".", 16, 1.0, 10**6, "skip", "report", None, {}, splits, path=str(tmp_path)
    )


@pytest.fixture
def photo(tmp_path):
    out = BytesIO()
    Image.new("RGB", (40, 32), (10, 200, 30)).save(out, "PNG")
    path = tmp_path / "photo.png"
    path.write_bytes(out.getvalue())
    return path, hashlib.sha256(out.getvalue()).hexdigest()


def test_what_is_stored_is_read_from_the_store(tmp_path, dataset, photo):
    artifacts, (_, sha256) = Artifacts.at(tmp_path), photo
    stored = np.full((16, 20, 3), 7, np.uint8)
    decoded_store(artifacts, dataset).append([(sha256, stored)])
    assert np.array_equal(DecodedImages(artifacts, dataset).get(sha256, "no such file"), stored)


def test_what_is_not_stored_is_decoded_alike(tmp_path, dataset, photo):
    path, sha256 = photo
    pixels = DecodedImages(Artifacts.at(tmp_path), dataset).get(sha256, str(path))
    assert pixels.shape == (16, 20, 3) and (pixels == (10, 200, 30)).all()


def test_a_file_that_changed_since_is_not_taken_for_the_old_one(tmp_path, dataset, photo):
    path, sha256 = photo
    images = DecodedImages(Artifacts.at(tmp_path), dataset)
    path.write_bytes(path.read_bytes() + b"x")
    with pytest.raises(UserError, match=r"photo.png: no longer the picture.*dvc repro prepare"):
        images.get(sha256, path)
    path.unlink()
    with pytest.raises(UserError, match="No such file"):
        images.get(sha256, path)


def test_sides_do_not_mix(tmp_path, dataset):
    import dataclasses

    artifacts = Artifacts.at(tmp_path)
    other = dataclasses.replace(dataset, decoded_side=24)
    assert decoded_store(artifacts, dataset).folder != decoded_store(artifacts, other).folder
