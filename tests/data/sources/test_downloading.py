from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from local_server import Server, serving

from graftwork.config.errors import UserError
from graftwork.data.sources import downloading
from graftwork.data.sources.downloading import download

DATA = np.random.default_rng(0).bytes(50_000)


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    monkeypatch.setattr(downloading, "BACKOFF", 0.001)
    monkeypatch.setattr(downloading, "CHUNK", 1000)
    with serving() as server:
        server.files["/data.bin"] = DATA
        yield server


def test_a_cut_connection_is_taken_up_where_it_broke(server: Server, tmp_path: Path) -> None:
    server.faults = ["cut 20000", "cut 10000"]
    download(f"{server.url}/data.bin", tmp_path / "f", len(DATA))
    assert (tmp_path / "f").read_bytes() == DATA
    first, second, third = server.ranges
    assert first is None
    starts = [int(asked.removeprefix("bytes=")[:-1]) for asked in (second, third) if asked]
    assert 18_000 <= starts[0] <= 20_000
    assert starts[0] + 8_000 <= starts[1] <= 30_000


def test_an_earlier_call_is_continued(server: Server, tmp_path: Path) -> None:
    (tmp_path / "f").write_bytes(DATA[:777])
    download(f"{server.url}/data.bin", tmp_path / "f", len(DATA))
    assert (tmp_path / "f").read_bytes() == DATA
    assert server.ranges == ["bytes=777-"]


def test_a_server_without_ranges_begins_again(server: Server, tmp_path: Path) -> None:
    (tmp_path / "f").write_bytes(DATA[:777])
    server.faults = ["no range"]
    download(f"{server.url}/data.bin", tmp_path / "f", len(DATA))
    assert (tmp_path / "f").read_bytes() == DATA


def test_a_refused_range_begins_again(server: Server, tmp_path: Path) -> None:
    (tmp_path / "f").write_bytes(DATA[:777])
    server.faults = [416]
    download(f"{server.url}/data.bin", tmp_path / "f", len(DATA))
    assert (tmp_path / "f").read_bytes() == DATA
    assert server.ranges == ["bytes=777-", None]


def test_a_busy_server_is_asked_again(server: Server, tmp_path: Path) -> None:
    server.faults = [503, 429, 502]
    download(f"{server.url}/data.bin", tmp_path / "f", len(DATA))
    assert (tmp_path / "f").read_bytes() == DATA
    assert len(server.ranges) == 4


def test_a_server_that_stays_busy_is_given_up(server: Server, tmp_path: Path) -> None:
    server.faults = [503] * 20
    with pytest.raises(UserError, match=r"/data.bin could not be fetched: status 503.*HTTPS_PROXY"):
        download(f"{server.url}/data.bin", tmp_path / "f", len(DATA))
    assert len(server.ranges) == downloading.ATTEMPTS


def test_a_missing_page_is_not_asked_for_again(server: Server, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="status 404"):
        download(f"{server.url}/nothing", tmp_path / "f", 10)
    assert len(server.ranges) == 1


def test_more_than_pinned_is_never_written(server: Server, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="more than the pinned 2500 bytes"):
        download(f"{server.url}/data.bin", tmp_path / "f", 2500)
    assert not (tmp_path / "f").exists()


def test_a_shorter_file_than_pinned_is_given_up(server: Server, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="could not be fetched"):
        download(f"{server.url}/data.bin", tmp_path / "f", len(DATA) + 1)


def test_without_a_known_size(server: Server, tmp_path: Path) -> None:
    server.faults = ["cut 20000"]
    download(f"{server.url}/data.bin", tmp_path / "f", None)
    assert (tmp_path / "f").read_bytes() == DATA


def test_nobody_there(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(downloading, "BACKOFF", 0.001)
    with serving() as server:
        url = server.url.replace("//", "//user:secret@")
    with pytest.raises(UserError, match="refused.*Check the network and the proxy") as caught:
        download(f"{url}/data.bin", tmp_path / "f", 10)
    assert "secret" not in str(caught.value)


def test_a_full_disk_is_named(server: Server, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"nowhere/f.*Is there space left"):
        download(f"{server.url}/data.bin", tmp_path / "nowhere" / "f", len(DATA))
