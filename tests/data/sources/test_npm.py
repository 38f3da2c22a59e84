import hashlib
import sys
from pathlib import Path

import pytest

from graftwork.config.errors import UserError
from graftwork.data.sources import clients
from graftwork.data.sources.npm import Npm

DATA = b"tarball"
SHA = hashlib.sha256(DATA).hexdigest()


def npm(folder: Path, monkeypatch: pytest.MonkeyPatch, script: str) -> None:
    """Puts a stand-in for npm first on PATH: Python code that sees `destination` and `spec`."""
    folder.mkdir(exist_ok=True)
    program, code = folder / "npm", folder / "npm.py"
    # Not by a line #!{sys.executable}: the environment's path may have a space in it.
    program.write_text(f"#!/bin/sh\nexec '{sys.executable}' '{code}' \"$@\"\n")
    code.write_text(
        "import sys, pathlib\n"
        "assert sys.argv[1:3] == ['pack', '--ignore-scripts']\n"
        "destination = next(a for a in sys.argv if a.startswith('--pack-dest')).split('=')[1]\n"
        f"calls = pathlib.Path({str(folder / 'calls')!r})\n"
        "spec = sys.argv[-1]; calls.open('a').write(spec + '\\n')\n" + script
    )
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(folder))
    monkeypatch.setattr(clients, "BACKOFF", 0.001)


def source(sha256: str = SHA) -> Npm:
    return Npm("@scope/pictures", "1.2.3", len(DATA), sha256, None, None)


def test_the_whole_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    script = f"pathlib.Path(destination, 'scope-pictures-1.2.3.tgz').write_bytes({DATA!r})"
    npm(tmp_path / "bin", monkeypatch, script)
    path = source().fetch(tmp_path / "downloads")
    assert path.read_bytes() == DATA and path.name == "scope-pictures-1.2.3.tgz"
    assert (tmp_path / "bin/calls").read_text() == "@scope/pictures@1.2.3\n"
    assert source().fingerprint == SHA and source().origin == "npm: @scope/pictures 1.2.3"


def test_a_wrong_hash_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    script = "pathlib.Path(destination, 'x.tgz').write_bytes(b'TARBALL')"
    npm(tmp_path / "bin", monkeypatch, script)
    with pytest.raises(UserError, match=f"arrived, {SHA} is pinned"):
        source().fetch(tmp_path / "downloads")
    assert not list((tmp_path / "downloads").rglob("*.tgz"))


def test_a_passing_failure_is_tried_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    script = (
        "if len(calls.read_text().split()) < 2: sys.exit('npm error network')\n"
        f"pathlib.Path(destination, 'x.tgz').write_bytes({DATA!r})"
    )
    npm(tmp_path / "bin", monkeypatch, script)
    assert source().fetch(tmp_path / "downloads").read_bytes() == DATA


def test_a_lasting_failure_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    script = "sys.exit('npm error code ECONNREFUSED\\nnpm error at http://me:secret@host/x')"
    npm(tmp_path / "bin", monkeypatch, script)
    with pytest.raises(UserError, match=r"`npm pack @scope.*ECONNREFUSED.*Offline") as caught:
        source().fetch(tmp_path / "downloads")
    assert "secret" not in str(caught.value)
    assert len((tmp_path / "bin/calls").read_text().split()) == clients.ATTEMPTS


def test_an_unknown_package_is_not_tried_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    npm(tmp_path / "bin", monkeypatch, "sys.exit('npm error code E404')")
    with pytest.raises(UserError, match="E404"):
        source().fetch(tmp_path / "downloads")
    assert len((tmp_path / "bin/calls").read_text().split()) == 1


def test_nothing_came(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    npm(tmp_path / "bin", monkeypatch, "")
    with pytest.raises(UserError, match="0 files like"):
        source().fetch(tmp_path / "downloads")


def test_no_npm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(UserError, match=r"npm: not installed.*Node\.js"):
        source().fetch(tmp_path / "downloads")
