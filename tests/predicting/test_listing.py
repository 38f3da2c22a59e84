"""Which photos words name."""

from __future__ import annotations

import io
import os
from pathlib import Path

import pytest

from graftwork.config.errors import UserError
from graftwork.predicting.listing import named


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in ("a/2.jpg", "a/b/1.PNG", "a/notes.txt", "c.jpg"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_files_folders_and_patterns_each_photo_once(here: Path) -> None:
    assert named(["c.jpg", "a", "c.jpg"]) == ["c.jpg", "a/2.jpg", "a/b/1.PNG"]
    assert named(["**/*.jpg"]) == ["a/2.jpg", "c.jpg"]
    (here / "[1].jpg").touch()
    assert named(["[1].jpg"]) == ["[1].jpg"]  # a file is no pattern


def test_a_list_on_standard_input(here: Path) -> None:
    assert named(["-"], io.StringIO("c.jpg\n\na b.jpg\n")) == ["c.jpg", "a b.jpg"]
    assert named(["-"], io.StringIO("c.jpg\0two\nlines.jpg\0")) == ["c.jpg", "two\nlines.jpg"]
    with pytest.raises(UserError, match="standard input: names no photo"):
        named(["-"], io.StringIO(""))


@pytest.mark.parametrize("table", ["number,path\n7,2.jpg", "where\n2.jpg", "\ufefffile,x\n2.jpg,y"])
def test_a_table_names_paths_from_its_own_folder(here: Path, table: str) -> None:
    (here / "a/table.csv").write_text(table, encoding="utf-8")
    assert named([os.path.join("a", "table.csv")]) == [os.path.join("a", "2.jpg")]


def test_what_names_nothing_is_refused(here: Path) -> None:
    (here / "empty").mkdir()
    (here / "table.csv").write_text("x,y\n1,2\n")
    for word, says in {
        "d.jpg": r"d.jpg: no such file or folder. Near it: c.jpg",
        "empty": "empty: names no photo",
        "*.gif": r"\*.gif: names no photo",
        "table.csv": "no column says where photos lie. Legal: path, .* It has: x, y",
    }.items():
        with pytest.raises(UserError, match=says):
            named([word])
