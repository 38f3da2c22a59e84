import hashlib
import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from published_file import of_file

from graftwork.config.errors import UserError
from graftwork.data.datasets.base import Dataset

ROWS = [  # as published: every test row twice
    {"dataset": "train", "coarse_cat": "Apple", "finegrained_cat": "Pink-Lady", "image_data": b"1"},
    {"dataset": "val", "coarse_cat": "Pear", "finegrained_cat": "Anjou", "image_data": b"2"},
    {"dataset": "test", "coarse_cat": "Pear", "finegrained_cat": "Kaiser", "image_data": b"3"},
    {"dataset": "test", "coarse_cat": "Pear", "finegrained_cat": "Kaiser", "image_data": b"3"},
]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    pq.write_table(pa.Table.from_pylist(ROWS), tmp_path / "images.parquet")
    return tmp_path / "images.parquet"


def brought(file: Path, *overrides: str) -> tuple[Dataset, Path]:
    dataset, raw = of_file("groceries", file, *overrides), file.parent / "raw" / "groceries"
    dataset.download(raw, file.parent / "downloads")
    return dataset, raw


def test_every_row_as_published(file: Path) -> None:
    dataset, raw = brought(file)
    records = list(dataset.records(raw))
    assert [(r.split, r.label) for r in records] == [
        ("train", "Pink-Lady"),
        ("val", "Anjou"),
        ("test", "Kaiser"),
        ("test", "Kaiser"),
    ]
    assert [r.path.read_bytes() for r in records] == [b"1", b"2", b"3", b"3"]
    digest = hashlib.sha256(b"3").hexdigest()[:12]
    assert records[3].path == raw / "test" / "Kaiser" / f"{digest}.jpg"


def test_coarse_classes_by_one_key(file: Path) -> None:
    dataset, raw = brought(file, "dataset.granularity=coarse")
    assert [r.label for r in dataset.records(raw)] == ["Apple", "Pear", "Pear", "Pear"]
    with pytest.raises(UserError, match="granularity: 'corse'.*Did you mean 'coarse'"):
        of_file("groceries", file, "dataset.granularity=corse")


def test_a_second_download_does_nothing(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    dataset, raw = brought(file)
    receipt = json.loads((raw / "source.json").read_text())
    assert receipt["files"] == 4 and receipt["origin"] == str(file)
    file.unlink()  # it could not be fetched again
    dataset.download(raw, file.parent / "downloads")


def test_a_missing_photo_is_brought_back(file: Path) -> None:
    dataset, raw = brought(file)
    photo = next(dataset.records(raw)).path
    photo.unlink()
    dataset.download(raw, file.parent / "downloads")
    assert photo.read_bytes() == b"1"


def test_an_interrupted_download_leaves_nothing(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("graftwork.data.datasets.groceries._write_photo", interrupted)
    with pytest.raises(KeyboardInterrupt):
        brought(file)
    assert [path.name for path in (file.parent / "raw").iterdir()] == [".groceries.lock"]
