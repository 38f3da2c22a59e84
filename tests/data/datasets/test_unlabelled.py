"""A folder of photos without labels: checked before any work, listed after the labelled ones."""

from __future__ import annotations

from pathlib import Path

import pytest
from conftest import CONF, composed

from graftwork.config.components import build
from graftwork.config.errors import UserError
from graftwork.data.datasets import unlabelled
from graftwork.data.datasets.base import Dataset
from graftwork.data.datasets.left_out import LeftOut
from graftwork.experiment import Experiment


def touch(root: Path, *names: str) -> Path:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()
    return root


def dataset(*overrides: object) -> Dataset:
    params = composed(*(str(override) for override in overrides))["dataset"]
    return build(params, Dataset, "dataset")  # type: ignore[type-abstract]


def test_photos_lie_at_any_depth_and_have_no_label(tmp_path: Path) -> None:
    root = touch(tmp_path / "new", "1.jpg", "monday/2.PNG", "train/a/3.jpg", "x.jxl", ".4.jpg")
    (root / "monday/back").symlink_to(root, target_is_directory=True)
    left_out = LeftOut()
    records = list(unlabelled.records(dataset(f"dataset.unlabelled={root}"), left_out))
    names = [record.path.relative_to(root).as_posix() for record in records]
    assert names == ["1.jpg", "monday/2.PNG", "train/a/3.jpg"]
    assert {(r.label, r.split, r.group) for r in records} == {("", "unlabelled", None)}
    assert str(left_out) == "1 .jxl"


def test_they_are_listed_after_the_labelled_ones(tiny_folder: Path, tmp_path: Path) -> None:
    root = touch(tmp_path / "new", "1.jpg")
    chosen = "dataset=folder", f"dataset.path={tiny_folder}"
    both = list(unlabelled.listed(dataset(*chosen, f"dataset.unlabelled={root}"), tmp_path))
    assert len(both) == 49 and both[-1].path == root / "1.jpg"
    assert len(list(unlabelled.listed(dataset(*chosen), tmp_path))) == 48


@pytest.mark.parametrize("name", ["groceries", "folder", "csv"])
def test_mistakes_are_named_whatever_the_data_set(name: str, tiny_folder: Path) -> None:
    table = tiny_folder.parent / "table.csv"
    table.write_text("image,label\nphotos/train/red/0.jpg,red\nphotos/train/blue/0.jpg,blue\n")
    place = {"folder": tiny_folder, "csv": table}.get(name)
    chosen = [f"dataset={name}", *([f"dataset.path={place}"] if place else [])]
    (tiny_folder.parent / "new_photos").mkdir()
    touch(tiny_folder.parent, "empty/notes.txt")

    def said(folder: str) -> str:
        with pytest.raises(UserError) as stop:
            wanted = f"dataset.unlabelled={tiny_folder.parent / folder}"
            Experiment.from_params(composed(*chosen, wanted))
        return str(stop.value)

    missing = said("newphotos")
    assert missing.startswith("dataset.unlabelled: no such folder: ")
    assert "there is: new_photos" in missing and "Set dataset.unlabelled=..." in missing
    assert "is a file. Set dataset.unlabelled to a folder" in said("table.csv")
    assert "no pictures in" in said("new_photos")
    assert "It holds 1 .txt. Legal: .avif" in said("empty") and "or to null" in said("empty")


@pytest.mark.parametrize("inside", ["photos", "photos/train", "photos/train/red", "link"])
def test_a_folder_among_class_folders_is_refused(inside: str, tiny_folder: Path) -> None:
    (tiny_folder.parent / "link").symlink_to(tiny_folder / "train", target_is_directory=True)
    params = composed(
        "dataset=folder", f"dataset.path={tiny_folder}",
        f"dataset.unlabelled={tiny_folder.parent / inside}",
    )  # fmt: skip
    with pytest.raises(UserError, match=r"dataset.unlabelled: .* lies in dataset.path"):
        Experiment.from_params(params)


@pytest.mark.parametrize(
    ("value", "watched"),
    [
        ("null", "conf/dataset/_base.yaml"),
        ("/some/my.photos", "/some/my.photos"),
        ("../new", "../new"),
        ("folder", "folder"),
        ("'of [x]'", "of [x]"),
    ],
)
def test_dvc_is_told_a_path_that_is_there_always(value: str, watched: str) -> None:
    params = composed(f"dataset.unlabelled={value}")["dataset"]
    assert params["unlabelled_watched"]["folder"] == watched
    if value == "null":
        assert (CONF.parent / watched).is_file()
