import hashlib
from pathlib import Path

import pytest
from local_server import Server, serving

from graftwork.config.errors import UserError
from graftwork.data.sources import downloading, https
from graftwork.data.sources.first_use import UnpinnedWarning
from graftwork.data.sources.https import Https

DATA = bytes(range(256)) * 50
SHA = hashlib.sha256(DATA).hexdigest()


def test_fetched_once_though_the_connection_breaks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(downloading, "BACKOFF", 0.001)
    monkeypatch.setattr(downloading, "CHUNK", 1000)
    with serving() as server:
        server.files["/some%20data.tgz"] = DATA
        server.faults = ["cut 5000", 503]
        source = Https(f"{server.url}/some%20data.tgz", len(DATA), SHA)
        path = source.fetch(tmp_path)
        assert path.read_bytes() == DATA and path.name == "some data.tgz"
        assert source.fetch(tmp_path) == path
        assert len(server.ranges) == 3
    assert source.fingerprint == SHA


def test_an_altered_file_is_refused(tmp_path: Path) -> None:
    with serving() as server:
        server.files["/f"] = DATA[:-1] + b"!"
        with pytest.raises(UserError, match=f"arrived, {SHA} is pinned"):
            Https(f"{server.url}/f", len(DATA), SHA).fetch(tmp_path)
    assert not [p for p in tmp_path.rglob("*") if p.is_file() and p.suffix != ".lock"]


@pytest.mark.parametrize("url", ["ftp://host/f", "file:///etc/passwd", "host/f", "https://"])
def test_what_is_no_web_address(url: str) -> None:
    with pytest.raises(UserError, match="no web address. Legal: https://"):
        Https(url, 1, SHA)


def test_origin_hides_secrets() -> None:
    assert Https("https://me:pw@host/f?token=1", 1, SHA).origin == "https://host/f"


def published_with(server: Server, first_digits: str, size: int | None = None) -> Https:
    server.files["/net-abc.pth"] = DATA
    return Https(f"{server.url}/net-abc.pth", size, first_digits)


def test_first_digits_of_the_hash_are_checked_then_the_whole_is_remembered(tmp_path: Path) -> None:
    with serving() as server:
        source = published_with(server, SHA[:8])
        with pytest.warns(UnpinnedWarning, match=f"only {SHA[:8]} of its sha256.*{SHA} is trusted"):
            path = source.fetch(tmp_path)
        assert path.read_bytes() == DATA and path.name == "net-abc.pth"
        assert path.parent.name == SHA
        assert source.fetch(tmp_path) == path  # neither fetched nor warned of again
        assert len(server.ranges) == 1
    assert list((tmp_path / "partial").glob("first-*")) == []


def test_other_first_digits_are_refused_and_nothing_is_kept(tmp_path: Path) -> None:
    with serving() as server, pytest.raises(UserError, match=f"{SHA} arrived, {'0' * 8} is pinned"):
        published_with(server, "0" * 8).fetch(tmp_path)
    assert not [p for p in tmp_path.rglob("*") if p.is_file() and p.suffix != ".lock"]


def test_the_whole_hash_of_the_first_use_holds_though_the_first_digits_agree(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(https, "FEWEST", 1)  # to find a forgery with the same digits at once
    forged = next(
        data
        for data in (b"forged %d" % n for n in range(10_000))
        if hashlib.sha256(data).hexdigest()[0] == SHA[0]
    )
    with serving() as server:
        source = published_with(server, SHA[0])
        with pytest.warns(UnpinnedWarning):
            path = source.fetch(tmp_path)
        path.unlink()
        server.files["/net-abc.pth"] = forged
        with pytest.raises(UserError, match=f"arrived, {SHA} is pinned"):
            source.fetch(tmp_path)


def test_an_interrupted_first_use_is_continued(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(downloading, "BACKOFF", 0.001)
    monkeypatch.setattr(downloading, "CHUNK", 1000)
    with serving() as server:
        source = published_with(server, SHA[:12], len(DATA))
        server.faults = ["cut 5000", *[503] * downloading.ATTEMPTS]
        with pytest.raises(UserError, match="could not be fetched"):
            source.fetch(tmp_path)
        with pytest.warns(UnpinnedWarning):
            assert source.fetch(tmp_path).read_bytes() == DATA
    assert server.ranges[-1] == "bytes=5000-"


@pytest.mark.parametrize("sha256", ["", "7be5be7", "7BE5BE79", SHA + "0"])
def test_what_is_no_hash_nor_its_beginning(sha256: str) -> None:
    with pytest.raises(UserError, match="is no sha256.*the first 8 or more, in quotes"):
        Https("https://host/f", None, sha256)


def test_the_fingerprint_of_a_beginning_names_the_address() -> None:
    source = Https("https://me:pw@host/f", None, SHA[:8])
    assert source.fingerprint == f"{SHA[:8]}:https://host/f"
