"""Photos sorted into folders of their classes, none of which leads anywhere else."""

from __future__ import annotations

from pathlib import Path

import pytest

from graftwork.config.errors import UserError
from graftwork.predicting.sorted_photos import SortedPhotos
from graftwork.serving.folder_names import folder_names

HOSTILE = [
    "../up",
    "/etc",
    "..",
    ".",
    "",
    "a/b",
    "a_b",
    "A_B",
    "a\nb",
    "x" * 500,
    "con\x1b[31m",
    "\\w",
]


def test_no_name_of_a_class_leads_out_and_each_has_its_own() -> None:
    names = folder_names(HOSTILE)
    assert len({name.lower() for name in names}) == len(HOSTILE)
    for name in names:
        assert (Path("/root") / name).resolve().parent == Path("/root") and len(name) < 255
        assert name.isprintable() and "/" not in name and "\\" not in name
    assert folder_names(["rose", "Lily of the valley"]) == ["rose", "Lily of the valley"]
    assert len(set(folder_names(["a_2", "A", "a"]))) == 3


def test_links_by_default_copies_on_demand_and_none_twice(tmp_path: Path) -> None:
    for place, content in {"one": b"1", "two": b"2"}.items():
        (tmp_path / place).mkdir()
        (tmp_path / place / "photo.jpg").write_bytes(content)
    photos = [(str(tmp_path / place / "photo.jpg"), place * 5) for place in ("one", "two")]
    for copy in (False, True):
        root = tmp_path / f"sorted{copy}"
        for _ in range(2):  # a second start changes nothing
            kept = SortedPhotos(root, ["up", "../up"], copy, [])
            for path, sha256 in photos:
                kept.place(path, sha256, "../up")
        (folder,) = root.iterdir()
        found = {path.name: path for path in folder.iterdir()}
        assert sorted(found) == ["photo-twotwotwotwo.jpg", "photo.jpg"]
        assert found["photo.jpg"].read_bytes() == b"1"
        assert all(path.is_symlink() is not copy for path in found.values())


def test_places_that_would_mislead_are_refused(tmp_path: Path) -> None:
    (tmp_path / "photos").mkdir()
    looked_at = [str(tmp_path / "photos")]
    with pytest.raises(UserError, match="whose photos are asked about"):
        SortedPhotos(tmp_path / "photos" / "out", ["a"], False, looked_at)
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match="is no folder"):
        SortedPhotos(tmp_path / "file", ["a"], False, looked_at)
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "a").symlink_to(tmp_path / "photos")
    with pytest.raises(UserError, match="is a link"):
        SortedPhotos(tmp_path / "out", ["a"], False, []).place("x.jpg", "0", "a")
    assert not any((tmp_path / "photos").iterdir())
