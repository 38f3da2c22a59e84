from __future__ import annotations

import gzip
import io
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from conftest import composed

from graftwork.config.components import build
from graftwork.config.errors import UserError
from graftwork.data import manifest
from graftwork.data.datasets import tar as module
from graftwork.data.datasets.base import Dataset
from graftwork.data.images import DecodedImages
from graftwork.data.preparing.preparation import prepare
from graftwork.experiment import Experiment
from graftwork.storage.artifacts import Artifacts

Member = tuple[str, bytes] | tuple[str, bytes, dict[str, Any]]


def shard(path: Path, *members: Member) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, "w", format=tarfile.PAX_FORMAT) as archive:
        for name, data, *more in members:
            info = tarfile.TarInfo(name)
            info.size = len(data)
            for key, value in (more[0] if more else {}).items():
                setattr(info, key, value)
            archive.addfile(info, io.BytesIO(data))
    return path


def dataset(path: Path, *overrides: str) -> Dataset:
    values = composed("dataset=tar", f"dataset.path={path}", *overrides)["dataset"]
    return build(values, Dataset, "dataset")


def listed(found: Dataset) -> list[tuple[str, str, str | None, bytes]]:
    records = list(found.records(Path("unused")))
    names = [str(record.path).partition("::")[2].partition("@")[0] for record in records]
    return [
        (name, record.label, record.split, found.open(record.path))
        for name, record in zip(names, records, strict=True)
    ]


def test_classes_stand_beside_the_pictures(tmp_path: Path) -> None:
    shard(tmp_path / "s" / "test-1.tar", ("x.png", b"3"), ("x.cls", b" b "))
    members = [("0.cls", b"a\n"), ("0.jpg", b"1"), ("0.json", b"{}"), ("d/1.jpg", b"22")]
    shard(tmp_path / "s" / "train-0.tar", *members, ("d/1.cls", b"b"))
    found = dataset(tmp_path / "s")
    found.check()
    assert listed(found) == [
        ("x.png", "b", "test", b"3"), ("0.jpg", "a", "train", b"1"),
        ("d/1.jpg", "b", "train", b"22"),
    ]  # fmt: skip
    found.download(tmp_path / "raw", tmp_path)
    assert '".json": 1' in (tmp_path / "raw" / "source.json").read_text()


def test_or_folders_are_classes_and_splits(tmp_path: Path) -> None:
    members = [("val/a/0.jpg", b"1"), ("./b/deep/1.JPG", b"2"), ("._x.jpg", b""), ("b", b"")]
    members[-1] = ("b/.hidden/2.jpg", b"")
    path = shard(tmp_path / "one.tar", *members)
    assert listed(dataset(path)) == [
        ("val/a/0.jpg", "a", "val", b"1"), ("b/deep/1.JPG", "b", None, b"2"),
    ]  # fmt: skip


def test_the_folder_of_a_shard_may_say_the_split(tmp_path: Path) -> None:
    shard(tmp_path / "validation" / "0.tar", ("a/0.jpg", b"1"))
    assert listed(dataset(tmp_path))[0][:3] == ("a/0.jpg", "a", "val")


LINK = {"type": tarfile.SYMTYPE, "linkname": "/etc/passwd"}
WRONG: dict[str, tuple[list[Member], str]] = {
    "a link": ([("a/0.jpg", b"", LINK)], "is a link or a device"),
    "a hard link": ([("a/0.jpg", b"", {**LINK, "type": tarfile.LNKTYPE})], "is a link"),
    "a device": ([("a/0.jpg", b"", {"type": tarfile.CHRTYPE})], "is a link or a device"),
    "climbing": ([("../a/0.jpg", b"1")], "points outside"),
    "absolute": ([("/a/0.jpg", b"1")], "points outside"),
    "twice": ([("a/0.jpg", b"1"), ("a/0.jpg", b"2")], "stands in it twice"),
    "two colons": ([("a/x::y@1+1.jpg", b"1")], "has '::' in its name"),
    "no class": ([("0.jpg", b"1")], "has neither a .cls nor a class folder"),
    "one without": ([("0.jpg", b"1"), ("1.jpg", b"1"), ("1.cls", b"a")], "no .cls beside it"),
    "empty class": ([("0.jpg", b"1"), ("0.cls", b" ")], "one line of text"),
    "class of lines": ([("0.jpg", b"1"), ("0.cls", b"a\nb")], "one line of text"),
    "class in latin-1": ([("0.jpg", b"1"), ("0.cls", b"\xe9")], "not in UTF-8"),
    "long class": ([("0.jpg", b"1"), ("0.cls", b"a" * 2000)], "it has 2000 bytes"),
    "a name in latin-1": ([("a/\udce9.jpg", b"1")], "is not in UTF-8"),
    "no pictures": ([("readme.txt", b"1")], "no pictures in"),
}


@pytest.mark.parametrize("what", WRONG)
def test_what_cannot_be_trusted_is_refused(what: str, tmp_path: Path) -> None:
    members, message = WRONG[what]
    found = dataset(shard(tmp_path / "s.tar", *members))
    with pytest.raises(UserError, match=message):
        list(found.records(tmp_path))
        found.check()


def test_sparse_and_large_files_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sparse = {"pax_headers": {"GNU.sparse.map": "0,1", "GNU.sparse.size": "1000000000000"}}
    path = shard(tmp_path / "sparse.tar", ("a/0.jpg", b"1", sparse))
    with pytest.raises(UserError, match="Refused"):
        list(dataset(path).records(tmp_path))
    monkeypatch.setattr(module, "PICTURE_BYTES", 3)
    with pytest.raises(UserError, match="is larger than"):
        list(dataset(shard(tmp_path / "large.tar", ("a/0.jpg", b"1234"))).records(tmp_path))


def test_damaged_and_packed_shards_are_named(tmp_path: Path) -> None:
    whole = shard(tmp_path / "whole.tar", ("a/0.jpg", b"1" * 2000)).read_bytes()
    (tmp_path / "cut").mkdir()
    (tmp_path / "cut" / "0.tar").write_bytes(whole[:1000])
    with pytest.raises(UserError, match="cut short or damaged"):
        list(dataset(tmp_path / "cut").records(tmp_path))
    (tmp_path / "packed").mkdir()
    (tmp_path / "packed" / "0.tar").write_bytes(gzip.compress(whole))
    with pytest.raises(UserError, match="unpacked to a plain one"):
        list(dataset(tmp_path / "packed").records(tmp_path))
    (tmp_path / "packed" / "0.tar").rename(tmp_path / "packed" / "0.tar.gz")
    with pytest.raises(UserError, match=r"no \*\.tar .* 0.tar.gz is packed"):
        dataset(tmp_path / "packed").check()


@pytest.fixture
def prepared(
    tiny_folder: Path, tiny_params: Callable[..., dict[str, Any]], tmp_path: Path
) -> Callable[..., tuple[Experiment, Artifacts, pd.DataFrame]]:
    """The tiny folder as shards, prepared: the same pictures in the same splits."""
    for split in ("train", "val", "test"):
        files = sorted((tiny_folder / split).rglob("*.jpg"))
        names = [str(file.relative_to(tiny_folder / split)) for file in files]
        pairs = zip(names, (file.read_bytes() for file in files), strict=True)
        shard(tmp_path / "shards" / f"{split}-0.tar", *pairs)

    def run(*overrides: str) -> tuple[Experiment, Artifacts, pd.DataFrame]:
        params = tiny_params()
        place = (f"dataset.path={tmp_path / 'shards'}", f"dataset.unlabelled={tiny_folder}/val/red")
        params["dataset"] = composed("dataset=tar", *place, *overrides)["dataset"]
        experiment, artifacts = Experiment.from_params(params), Artifacts.at(tmp_path / "root")
        experiment.dataset.download(artifacts.raw("tar"), artifacts.downloads)
        prepare(experiment.dataset, artifacts)
        return experiment, artifacts, manifest.read(artifacts.manifest)

    return run


def test_pictures_of_shards_are_those_of_the_files(
    prepared: Callable[..., tuple[Experiment, Artifacts, pd.DataFrame]], tiny_folder: Path
) -> None:
    experiment, artifacts, frame = prepared("dataset.unlabelled=null")
    paths = {str(path.relative_to(tiny_folder)): path for path in tiny_folder.rglob("*.jpg")}
    assert len(manifest.usable(frame)) == len(paths) == 48
    images = DecodedImages(artifacts, experiment.dataset)
    for row in frame.to_dict("records"):
        name = row["path"].partition("::")[2].partition("@")[0]
        content = paths[f"{row['split']}/{name}"].read_bytes()
        assert experiment.dataset.open(row["path"]) == content
        assert row["class"] == name.split("/")[0]
        shape = images.get(row["sha256"], row["path"]).shape
        assert shape == (row["height"], row["width"], 3)


def test_what_is_not_kept_decoded_is_read_from_the_shard(
    prepared: Callable[..., tuple[Experiment, Artifacts, pd.DataFrame]], tmp_path: Path
) -> None:
    experiment, artifacts, frame = prepared(
        "dataset.decoded_budget_gib=0", "dataset.unlabelled=null"
    )
    images, row = DecodedImages(artifacts, experiment.dataset), frame.iloc[0]
    assert images.get(row["sha256"], row["path"]).dtype == "uint8"
    path = experiment.dataset.file_of(row["path"])
    assert path.parent == tmp_path / "shards"
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 4])
    gone = next(r for r in frame.itertuples() if f"{path}::" in r.path and "red" in r.path)
    with pytest.raises(UserError, match="dvc repro prepare"):
        images.get(gone.sha256, gone.path)
    path.write_bytes(content[:512] + b"\0" * (len(content) - 512))
    with pytest.raises(UserError, match="no longer the picture"):
        images.get(gone.sha256, gone.path)


def test_photos_without_labels_are_files_beside_them(
    prepared: Callable[..., tuple[Experiment, Artifacts, pd.DataFrame]], tiny_folder: Path
) -> None:
    photo = tiny_folder / "val" / "red" / "new.jpg"
    photo.write_bytes((tiny_folder / "val" / "red" / "0.jpg").read_bytes() + b"\0")
    experiment, _, frame = prepared()
    new = manifest.of_split(frame, "unlabelled")
    assert new["path"].tolist() == [str(photo)]
    assert experiment.dataset.open(photo) == photo.read_bytes()
    assert experiment.dataset.file_of(photo) == photo
