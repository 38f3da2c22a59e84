import errno
import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest
from conftest import composed

from graftwork.config.components import build
from graftwork.config.errors import UserError
from graftwork.data.datasets.base import Dataset
from graftwork.data.datasets.folder import Folder
from graftwork.experiment import Experiment


def dataset(path: Path | str) -> Folder:
    found = build(composed("dataset=folder", f"dataset.path={path}")["dataset"], Dataset, "dataset")
    assert isinstance(found, Folder)
    return found


def touch(root: Path, *names: str) -> None:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()


def found(root: Path) -> list[tuple[str, str, str | None]]:
    """(file, label, split) of every record, files relative to the root."""
    records = dataset(root).records(root / "unused")
    return [(r.path.relative_to(root).as_posix(), r.label, r.split) for r in records]


def test_all_splits_are_the_datas_own(tiny_folder: Path) -> None:
    records = found(tiny_folder)
    assert len(records) == 48
    assert [split for _, _, split in records] == ["train"] * 24 + ["val"] * 9 + ["test"] * 15
    assert records[0] == ("train/blue/0.jpg", "blue", "train")
    assert all(label == path.split("/")[1] for path, label, _ in records)


def test_without_splits(tmp_path: Path) -> None:
    touch(tmp_path, "b/2.PNG", "b/deeper/1.jpeg", "a/x.webp")
    assert found(tmp_path) == [
        ("a/x.webp", "a", None),
        ("b/2.PNG", "b", None),
        ("b/deeper/1.jpeg", "b", None),
    ]


@pytest.mark.parametrize(
    "folders",
    [
        {"train": "train", "test": "test"},
        {"Training": "train", "validation": "val"},
        {"training": "train", "valid": "val", "testing": "test"},
    ],
)
def test_usual_names_of_splits(folders: dict[str, str], tmp_path: Path) -> None:
    touch(tmp_path, *(f"{name}/{label}/1.jpg" for name in folders for label in "ab"))
    assert [(p.split("/")[0], s) for p, _, s in found(tmp_path)] == [
        pair for pair in folders.items() for _ in "ab"
    ]


def test_classes_are_told_apart_by_name_in_every_split(tmp_path: Path) -> None:
    touch(tmp_path, "train/a/1.jpg", "train/b/1.jpg", "train/c/1.jpg")
    touch(tmp_path, "val/c/1.jpg", "test/a/1.jpg", "test/c/1.jpg", "test/d/1.jpg")
    labels = [(split, label) for _, label, split in found(tmp_path)]
    assert labels[3:] == [("val", "c"), ("test", "a"), ("test", "c"), ("test", "d")]


def test_a_class_may_be_called_train(tmp_path: Path) -> None:
    touch(tmp_path, "train/1.jpg", "bus/1.jpg")
    assert [label for _, label, _ in found(tmp_path)] == ["bus", "train"]


def test_hidden_and_other_files_are_left_out(tmp_path: Path) -> None:
    touch(tmp_path, "a/1.jpg", "a/.2.jpg", "a/notes.txt", "a/Thumbs.db", "b/1.jpg")
    touch(tmp_path, ".ipynb_checkpoints/1.jpg", "a/.cache/1.jpg", "__MACOSX/a/1.jpg")
    assert [path for path, _, _ in found(tmp_path)] == ["a/1.jpg", "b/1.jpg"]
    dataset(tmp_path).check()


def test_links_are_followed_but_not_in_circles(tmp_path: Path) -> None:
    root, elsewhere = tmp_path / "root", tmp_path / "elsewhere"
    touch(root, "a/1.jpg", "b/1.jpg")
    touch(elsewhere, "2.jpg")
    (root / "a/back").symlink_to(root, target_is_directory=True)
    (root / "a/self").symlink_to(root / "a", target_is_directory=True)
    (root / "b/more").symlink_to(elsewhere, target_is_directory=True)
    (root / "b/broken.jpg").symlink_to(root / "nowhere.jpg")
    assert [path for path, _, _ in found(root)] == ["a/1.jpg", "b/1.jpg", "b/more/2.jpg"]


def test_relative_to_the_projects_folder(
    tiny_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tiny_folder.parent)
    first = next(dataset(tiny_folder.name).records(tiny_folder))
    assert first.path == tiny_folder / "train/blue/0.jpg"


def test_download_leaves_a_listing_and_copies_nothing(tiny_folder: Path, tmp_path: Path) -> None:
    touch(tiny_folder, "stray.jpg", "train/lost.png")
    raw = tmp_path / "raw"
    dataset(tiny_folder).download(raw, tmp_path / "downloads")
    assert [path.name for path in raw.iterdir()] == ["source.json"]
    receipt = json.loads((raw / "source.json").read_text())
    assert receipt["origin"] == str(tiny_folder) and receipt["pictures"] == 48
    assert receipt["splits"]["test"] == {"blue": 5, "green": 5, "red": 5}
    assert receipt["outside_of_class_folders"]["pictures"] == 2


def test_dvc_watches_the_users_folder(tiny_folder: Path) -> None:
    assert dataset(tiny_folder).watched == str(tiny_folder)


MISTAKES: dict[str, tuple[Callable[[Path], object], str]] = {
    "empty folder": (lambda root: None, "no pictures in"),
    "no pictures": (lambda root: touch(root, "a/1.txt", "b/2.pdf"), "no pictures in .*.jpg"),
    "no class folders": (
        lambda root: touch(root, "1.jpg", "2.jpg"),
        "holds pictures but no class folders",
    ),
    "empty class": (lambda root: touch(root, "a/1.jpg", "b/1.jpg", "c/x.txt"), "folder 'c'"),
    "photos of another kind": (
        lambda root: touch(root, "a/1.jpg", "b/1.jpg", "c/1.JXL", "c/2.jxl", "c/3.pdf"),
        r"'c' of .*'c' holds 2 \.jxl, 1 \.pdf\. Legal: \.avif .*\.webp",
    ),
    "one class": (lambda root: touch(root, "a/1.jpg"), "the one class 'a'"),
    "mixed": (
        lambda root: touch(root, "train/a/1.jpg", "test/a/1.jpg", "extra/1.jpg"),
        r"split folders \(test, train\) beside other folders \(extra\)",
    ),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_mistakes_are_named_before_any_work(mistake: str, tmp_path: Path) -> None:
    make, message = MISTAKES[mistake]
    make(tmp_path)
    with pytest.raises(UserError, match=message):
        dataset(tmp_path).check()


def test_a_missing_folder_names_the_nearest(tmp_path: Path) -> None:
    (tmp_path / "photos").mkdir()
    (tmp_path / "zebra").mkdir()
    with pytest.raises(UserError, match=r"no such folder: .*/phots/x\. In .* there is: photos"):
        dataset(tmp_path / "phots" / "x").check()
    with pytest.raises(UserError, match=r"photos is empty"):
        dataset(tmp_path / "photos" / "x").check()


def test_a_file_is_no_folder(tmp_path: Path) -> None:
    touch(tmp_path, "photos.zip")
    with pytest.raises(UserError, match="is a file. Set dataset.path to a folder"):
        dataset(tmp_path / "photos.zip").check()


def test_what_is_passed_over_is_counted(tmp_path: Path) -> None:
    root = tmp_path / "photos"
    touch(root, "a/1.jpg", "a/2.jxl", "b/1.jpg", "b/in/2.JXL", "b/x.pdf", "notes", "loose.png")
    touch(root, "a/Thumbs.db", "a/.hidden.txt")
    (root / "b/broken.jpg").symlink_to(root / "nowhere.jpg")
    dataset(root).download(tmp_path / "raw", tmp_path)
    receipt = json.loads((tmp_path / "raw/source.json").read_text())
    assert receipt["left_out"] == {
        "kinds": {".jxl": 2, ".pdf": 1, "no suffix": 1},
        "dangling_links": 1,
    }
    assert receipt["outside_of_class_folders"]["pictures"] == 1


def test_a_name_that_is_not_in_utf8_is_refused(tmp_path: Path) -> None:
    touch(tmp_path, "a/1.jpg", "b/1.jpg", os.fsdecode(b"caf\xe9/1.jpg"))
    message = r"the name .*/caf\\xe9 is not in UTF-8\. Rename"
    with pytest.raises(UserError, match=message):
        Experiment.from_params(composed("dataset=folder", f"dataset.path={tmp_path}"))
    (tmp_path / os.fsdecode(b"caf\xe9")).rename(tmp_path / "b" / "more")
    touch(tmp_path, os.fsdecode(b"b/\xe9.jpg"), os.fsdecode(b"\xe9.jpg"))
    with pytest.raises(UserError, match=r"b/\\xe9\.jpg is not in UTF-8"):
        dataset(tmp_path).download(tmp_path / "raw", tmp_path)


def test_a_folder_that_may_not_be_read_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    touch(tmp_path, "a/1.jpg", "b/1.jpg")
    original = os.listdir

    def refusing(folder: Path) -> list[str]:  # tests may run as root, who may read everything
        if Path(folder).name == "b":
            raise PermissionError(errno.EACCES, "Permission denied", str(folder))
        return original(folder)

    monkeypatch.setattr(os, "listdir", refusing)
    with pytest.raises(UserError, match=r"the folder .*/b cannot be read: Permission denied"):
        dataset(tmp_path).check()


def test_another_kind_of_data_set_keeps_its_place(tiny_folder: Path, tmp_path: Path) -> None:
    raw = tmp_path / "raw"
    raw.mkdir()
    published = {"dataset": "groceries", "sha256": "0" * 64, "origin": "PyPI", "files": 3}
    for receipt, named in (
        (published, r"belongs to a published data set \(groceries, from PyPI\)"),
        ({"dataset": "mine", "kind": "a CSV table", "origin": "t.csv"}, "a CSV table .mine"),
    ):
        (raw / "source.json").write_text(json.dumps(receipt))
        with pytest.raises(UserError, match=f"dataset.name: .*{named}.*a folder of photos"):
            dataset(tiny_folder).download(raw, tmp_path)
        assert json.loads((raw / "source.json").read_text()) == receipt
    (raw / "source.json").unlink()
    for _ in range(2):
        dataset(tiny_folder).download(raw, tmp_path)


def test_messages_name_key_and_folder(tmp_path: Path) -> None:
    touch(tmp_path, "train/a/1.jpg", "test/a/1.jpg", "extra/1.jpg")
    with pytest.raises(UserError) as stop:
        Experiment.from_params(composed("dataset=folder", f"dataset.path={tmp_path}"))
    assert str(stop.value).startswith(f"dataset: {tmp_path}: split folders")


def test_a_class_that_links_to_another_one_is_refused_and_not_dropped(tmp_path: Path) -> None:
    root = tmp_path / "photos"
    touch(root, "cat/1.jpg", "dog/1.jpg", "owl/1.jpg")
    (root / "kitten").symlink_to(root / "cat", target_is_directory=True)
    with pytest.raises(UserError, match=r"photos/kitten is a link to .* class 'cat'.* two labels"):
        dataset(root).check()
    (root / "kitten").unlink()
    (root / "dog/deeper").mkdir()
    (root / "dog/deeper/more").symlink_to(root / "cat", target_is_directory=True)
    with pytest.raises(UserError, match=r"dog/deeper/more is a link to .* class 'cat'"):
        found(root)


def test_one_class_in_two_splits_may_be_one_folder(tmp_path: Path) -> None:
    touch(tmp_path, "train/cat/1.jpg", "train/dog/1.jpg")
    (tmp_path / "val").mkdir()
    (tmp_path / "val/cat").symlink_to(tmp_path / "train/cat", target_is_directory=True)
    assert ("val/cat/1.jpg", "cat", "val") in found(tmp_path)
