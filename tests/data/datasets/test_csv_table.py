import json
from pathlib import Path

import pytest
from conftest import composed

from graftwork.config.components import build
from graftwork.config.errors import UserError
from graftwork.data.datasets.base import Dataset, Record
from graftwork.experiment import Experiment

FULL = ("dataset.split_column=split", "dataset.group_column=dog")


def dataset(path: Path, *overrides: str) -> Dataset:
    values = composed("dataset=csv", f"dataset.path={path}", *overrides)["dataset"]
    return build(values, Dataset, "dataset")


def table(folder: Path, text: str) -> Path:
    for name in "123":
        (folder / f"{name}.jpg").touch()
    (folder / "t.csv").write_text(text)
    return folder / "t.csv"


def test_columns_become_records(tmp_path: Path) -> None:
    path = table(
        tmp_path,
        "image,label,split,dog\n1.jpg,a,training,x\n2.jpg,b,Val,y\n3.jpg, b ,test,x\n",
    )
    assert list(dataset(path, *FULL).records(tmp_path)) == [
        Record(tmp_path / "1.jpg", "a", "train", "x"),
        Record(tmp_path / "2.jpg", "b", "val", "y"),
        Record(tmp_path / "3.jpg", "b", "test", "x"),
    ]


def test_without_splits_of_its_own(tmp_path: Path) -> None:
    records = dataset(table(tmp_path, "image,label\n1.jpg,a\n2.jpg,b\n")).records(tmp_path)
    assert [(r.split, r.group) for r in records] == [(None, None)] * 2


def test_an_empty_cell_leaves_the_split_open(tmp_path: Path) -> None:
    path = table(tmp_path, "image,label,split\n1.jpg,a,train\n2.jpg,b,test\n3.jpg,b,\n")
    records = dataset(path, "dataset.split_column=split").records(tmp_path)
    assert [r.split for r in records] == ["train", "test", None]


def test_other_columns_delimiter_and_folder(tmp_path: Path) -> None:
    path = table(tmp_path, "\ufefffile;kind\n1.jpg;a\n")
    (tmp_path / "sub").mkdir()
    moved = path.rename(tmp_path / "sub" / "t.csv")
    keys = ("image_column=file", "label_column=kind", "delimiter=';'", f"image_root={tmp_path}")
    records = dataset(moved, *(f"dataset.{key}" for key in keys)).records(tmp_path)
    assert [(r.path.name, r.label) for r in records] == [("1.jpg", "a")]


@pytest.mark.parametrize("delimiter", ["tab", "'\\t'", "'\t'"])
def test_a_tab_may_be_written_in_words(delimiter: str, tmp_path: Path) -> None:
    path = table(tmp_path, "image\tlabel\n1.jpg\ta\n")
    records = dataset(path, f"dataset.delimiter={delimiter}").records(tmp_path)
    assert [(r.path.name, r.label) for r in records] == [("1.jpg", "a")]


@pytest.mark.parametrize(
    ("header", "remedy"),
    [("image;label", "\"dataset.delimiter=';'\""), ("image\tlabel", "dataset.delimiter=tab")],
)
def test_another_delimiter_is_suggested(header: str, remedy: str, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=f"is no column.* set {remedy}"):
        dataset(table(tmp_path, f"{header}\n1.jpg;a\n")).check()
    override = remedy.strip('"')  # as the shell does
    dataset(table(tmp_path, f"{header}\n"), override)


def test_messages_name_the_key_and_the_file(tmp_path: Path) -> None:
    path = table(tmp_path, "image,label\n9.jpg,a\n")
    for overrides, message in (
        ((), f"dataset.path: {path}, row 2: no such picture"),
        (("dataset.image_root=nowhere",), "dataset.image_root: no such folder: "),
    ):
        params = composed("dataset=csv", f"dataset.path={path}", *overrides)
        with pytest.raises(UserError) as stop:
            Experiment.from_params(params)
        assert str(stop.value).startswith(message)
        assert "Set dataset.path" not in str(stop.value)


def test_download_leaves_a_listing(tmp_path: Path) -> None:
    path = table(tmp_path, "image,label,split\n1.jpg,a,train\n2.jpg,b,val\n3.jpg,b,test\n")
    dataset(path, "dataset.split_column=split").download(tmp_path / "raw", tmp_path)
    receipt = json.loads((tmp_path / "raw/source.json").read_text())
    assert receipt["splits"] == {"train": {"a": 1}, "val": {"b": 1}, "test": {"b": 1}}
    assert dataset(path).watched == str(path)


@pytest.mark.parametrize(
    ("text", "overrides", "message"),
    [
        ("image,lable\n1.jpg,a\n", (), r"label_column: 'label' is no column.*Legal: lable, image"),
        ("image,label\n1.jpg,a\n", FULL, "split_column: 'split' is no column"),
        ("image,label\n1.jpg,a\n9.jpg,b\n", (), r"row 3: no such picture: .*9.jpg"),
        ("image,label\n1.jpg,a\n2.jpg,\n", (), "row 3: column 'label' is empty"),
        ("image,label\n1.jpg,a\n2.jpg\n", (), "row 3: column 'label' is empty"),
        ("image,label,split,dog\n1.jpg,a,trian,x\n", FULL, r"row 2: 'trian' .*Legal: train,"),
        ("image,label\n", (), "has no rows"),
        ("", (), "Legal: none"),
    ],
)
def test_mistakes_are_named_with_their_row(
    text: str, overrides: tuple[str, ...], message: str, tmp_path: Path
) -> None:
    with pytest.raises(UserError, match=message):
        dataset(table(tmp_path, text), *overrides).check()


def test_what_is_no_table(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no such file"):
        dataset(tmp_path / "t.csv").check()
    (tmp_path / "t.csv").write_bytes(b"image,label\n\xff\xfe\x00,a\n")
    with pytest.raises(UserError, match="no table in UTF-8"):
        dataset(tmp_path / "t.csv").check()
    with pytest.raises(UserError, match="is a folder"):
        dataset(tmp_path).check()
    with pytest.raises(UserError, match="delimiter"):
        dataset(tmp_path, "dataset.delimiter=ab")
