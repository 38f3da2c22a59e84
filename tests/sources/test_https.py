import hashlib
from pathlib import Path

import pytest
from local_server import serving

from graftwork.errors import UserError
from graftwork.sources import downloading
from graftwork.sources.https import Https

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
