import hashlib
from pathlib import Path

import pytest

from graftwork.config.errors import UserError
from graftwork.data.sources.file import LocalFile

SHA = hashlib.sha256(b"data").hexdigest()


def test_used_where_it_lies(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "w.pth").write_bytes(b"data")
    monkeypatch.chdir(tmp_path)
    source = LocalFile("w.pth", 4, SHA)
    assert source.fetch(tmp_path / "downloads") == tmp_path / "w.pth"
    assert source.fingerprint == SHA and source.origin == "w.pth"


def test_a_changed_file_names_both_hashes(tmp_path: Path) -> None:
    (tmp_path / "w.pth").write_bytes(b"date")
    other = hashlib.sha256(b"date").hexdigest()
    with pytest.raises(UserError, match=f"{other} arrived, {SHA} is pinned"):
        LocalFile(str(tmp_path / "w.pth"), 4, SHA).fetch(tmp_path)


def test_a_missing_file_names_its_neighbours(tmp_path: Path) -> None:
    (tmp_path / "weights.pth").touch()
    with pytest.raises(UserError, match=r"weight.pth: no such file. Near it: weights.pth"):
        LocalFile(str(tmp_path / "weight.pth"), 4, SHA).fetch(tmp_path)
