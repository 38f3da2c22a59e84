import tarfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from attacks import archives
from graftwork.config.errors import UserError
from graftwork.data.sources import unpacking
from graftwork.data.sources.unpacking import Limits, take, unpack


def tar(path: Path, *members: tuple[str, bytes, dict[str, object]]) -> Path:
    path.write_bytes(archives.tar(*members))
    return path


def zipped(path: Path, *members: tuple[str, bytes]) -> Path:
    path.write_bytes(archives.zipped(*members))
    return path


def nothing_escaped(root: Path, archive: Path) -> bool:
    return [p for p in root.rglob("*") if p != archive] == []


@pytest.mark.parametrize("make", [zipped, lambda p, *m: tar(p, *((n, d, {}) for n, d in m))])
def test_plain_files_come_out(make: Callable[..., Path], tmp_path: Path) -> None:
    archive = make(tmp_path / "a", ("x/one.txt", b"1"), ("two.txt", b"22"))
    assert unpack(archive, tmp_path / "out") == 2
    assert (tmp_path / "out/x/one.txt").read_bytes() == b"1"
    assert (tmp_path / "out/two.txt").read_bytes() == b"22"


def test_folders_and_dotted_names_are_fine(tmp_path: Path) -> None:
    folder = ("./d", b"", {"type": tarfile.DIRTYPE})
    archive = tar(tmp_path / "a", folder, ("./d/one.txt", b"1", {}))
    assert unpack(archive, tmp_path / "out") == 1
    archive = zipped(tmp_path / "z", ("d/", b""), ("d/one.txt", b"1"))
    assert unpack(archive, tmp_path / "out") == 1


@pytest.mark.parametrize("make", [zipped, lambda p, *m: tar(p, *((n, d, {}) for n, d in m))])
def test_bombs_are_refused(
    make: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(unpacking, "PLAIN_BYTES", 1 << 20)
    archive = make(tmp_path / "bomb", ("a", bytes(2 << 20)))
    with pytest.raises(UserError, match="grows more than 100-fold: a bomb"):
        unpack(archive, tmp_path / "out")
    assert nothing_escaped(tmp_path, archive)


@pytest.mark.parametrize(
    ("limits", "reason"), [(Limits(files=2), "more than 2 files"), (Limits(size=2), "exceeds 2")]
)
def test_limits_hold(limits: Limits, reason: str, tmp_path: Path) -> None:
    archive = zipped(tmp_path / "a.zip", *((str(i), b"x") for i in range(3)))
    with pytest.raises(UserError, match=reason):
        unpack(archive, tmp_path / "out", limits)


@pytest.mark.parametrize("keep", [0.3, 0.9])
@pytest.mark.parametrize("make", [zipped, lambda p, *m: tar(p, *((n, d, {}) for n, d in m))])
def test_cut_archives_leave_nothing(make: Callable[..., Path], keep: float, tmp_path: Path) -> None:
    noise = np.random.default_rng(0).bytes(40_000)
    archive = make(tmp_path / "a", *((str(i), noise) for i in range(5)))
    raw = archive.read_bytes()
    archive.write_bytes(raw[: int(len(raw) * keep)])
    with pytest.raises(UserError, match="cut short or damaged"):
        unpack(archive, tmp_path / "out")
    assert nothing_escaped(tmp_path, archive)


def test_one_file_is_taken_out(tmp_path: Path) -> None:
    archive = zipped(tmp_path / "a.zip", ("x/one", b"1"), ("two", b"22"))
    take(archive, "two", tmp_path / "got")
    assert (tmp_path / "got").read_bytes() == b"22"
    with pytest.raises(UserError, match="there is no 'three' in it"):
        take(archive, "three", tmp_path / "none")
    assert not (tmp_path / "none").exists()
