import gzip
import io
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from graftwork.config.errors import UserError
from graftwork.data.sources import unpacking
from graftwork.data.sources.unpacking import Limits, take, unpack


def tar(path: Path, *members: tuple[str, bytes, dict[str, object]]) -> Path:
    with tarfile.open(path, "w:gz") as archive:
        for name, data, attributes in members:
            info = tarfile.TarInfo(name)
            info.size = len(data)
            for key, value in attributes.items():
                setattr(info, key, value)
            archive.addfile(info, io.BytesIO(data))
    return path


def zipped(path: Path, *members: tuple[str, bytes], kind: int = 0) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members:
            info = zipfile.ZipInfo(name)
            info.external_attr = kind << 16
            info.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(info, data)
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


ATTACKS = {
    "climbing": [("../evil", b"x", {})],
    "climbing inside": [("a/../../evil", b"x", {})],
    "climbing folder": [("../evil", b"", {"type": tarfile.DIRTYPE})],
    "absolute": [("/tmp/evil", b"x", {})],
    "backslash": [("..\\evil", b"x", {})],
    "drive": [("C:/evil", b"x", {})],
    "symlink": [("evil", b"", {"type": tarfile.SYMTYPE, "linkname": "/etc/passwd"})],
    "through a symlink": [
        ("a", b"", {"type": tarfile.SYMTYPE, "linkname": ".."}),
        ("a/evil", b"x", {}),
    ],
    "hard link": [("evil", b"", {"type": tarfile.LNKTYPE, "linkname": "/etc/passwd"})],
    "device": [("evil", b"", {"type": tarfile.CHRTYPE, "devmajor": 1, "devminor": 3})],
    "pipe": [("evil", b"", {"type": tarfile.FIFOTYPE})],
    "twice": [("evil", b"x", {}), ("evil", b"y", {})],
    "file as folder": [("a", b"x", {}), ("a/evil", b"x", {})],
}


@pytest.mark.parametrize("attack", ATTACKS)
def test_hostile_tars_are_refused_whole(attack: str, tmp_path: Path) -> None:
    archive = tar(tmp_path / "evil.tgz", ("good.txt", b"x", {}), *ATTACKS[attack])
    with pytest.raises(UserError, match=r"evil.tgz: '.*' .*Refused; nothing was unpacked"):
        unpack(archive, tmp_path / "out")
    assert nothing_escaped(tmp_path, archive)


@pytest.mark.parametrize(
    ("name", "kind"), [("../evil", 0), ("/evil", 0), ("../evil/", 0), ("evil", 0o120777)]
)
def test_hostile_zips_are_refused_whole(name: str, kind: int, tmp_path: Path) -> None:
    archive = zipped(tmp_path / "evil.zip", (name, b"/etc/passwd"), kind=kind)
    with pytest.raises(UserError, match="Refused"):
        unpack(archive, tmp_path / "out")
    assert nothing_escaped(tmp_path, archive)


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


def test_a_zip_that_lies_about_its_size_is_refused(tmp_path: Path) -> None:
    archive = zipped(tmp_path / "a.zip", ("a", bytes(5000)))
    raw = archive.read_bytes()
    archive.write_bytes(raw.replace((5000).to_bytes(4, "little"), (7).to_bytes(4, "little")))
    with pytest.raises(UserError):
        unpack(archive, tmp_path / "out")
    assert nothing_escaped(tmp_path, archive)


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


def test_altered_archives_leave_nothing(tmp_path: Path) -> None:
    archive = tmp_path / "a.gz"
    archive.write_bytes(gzip.compress(b"no tar at all" * 100))
    with pytest.raises(UserError, match="no archive"):
        unpack(archive, tmp_path / "out")


def test_one_file_is_taken_out(tmp_path: Path) -> None:
    archive = zipped(tmp_path / "a.zip", ("x/one", b"1"), ("two", b"22"))
    take(archive, "two", tmp_path / "got")
    assert (tmp_path / "got").read_bytes() == b"22"
    with pytest.raises(UserError, match="there is no 'three' in it"):
        take(archive, "three", tmp_path / "none")
    assert not (tmp_path / "none").exists()
