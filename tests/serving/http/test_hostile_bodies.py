"""Whatever is sent gets its status and a sentence, and the next request its answer."""

from __future__ import annotations

import io
import socket
import struct
import threading
import time
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import COLOURS, composed, draw_photo
from PIL import Image
from running_service import Said, Service, request, said, service
from untrained_model import untrained

LIMITS = ("body_mib=0.25", "photos=3", "megapixels=1", "header_seconds=0.4", "body_seconds=0.4")
FORM = "multipart/form-data; boundary=b"


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Service, bytes]]:
    """A service with small limits, and a photo."""
    root = tmp_path_factory.mktemp("service")
    photos = root / "photos"
    for at in range(27):
        split = "test" if at < 15 else "train" if at < 24 else "val"
        name, colour = list(COLOURS.items())[at % 3]
        draw_photo(photos / split / name / f"{at}.jpg", colour, at)
    wanted = ("dataset=folder", f"dataset.path={photos}", "model=tiny_cnn", "trainer=smoke",
              "transfer=from_scratch", "evaluation.engine=torch")  # fmt: skip
    _, artifacts, frame = untrained(composed(*wanted), root)
    with service(artifacts.model, artifacts.trained, *LIMITS) as found:
        yield found, Path(frame["path"][0]).read_bytes()


def png(side: int) -> bytes:
    buffer = io.BytesIO()
    Image.new("1", (side, side)).save(buffer, "PNG")
    return buffer.getvalue()


def bomb() -> bytes:
    """The header of a PNG of ten gigapixels, and hardly anything else."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        crc = struct.pack(">I", zlib.crc32(kind + content))
        return struct.pack(">I", len(content)) + kind + content + crc

    header = struct.pack(">IIBBBBB", 100_000, 100_000, 8, 2, 0, 0, 0)
    pixels = chunk(b"IDAT", zlib.compress(bytes(1_000_000)))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + pixels + chunk(b"IEND", b"")


def form(*parts: tuple[str, bytes]) -> bytes:
    """Each with its Content-Disposition, as the sender chose it."""
    made = [b"--b\r\nContent-Disposition: form-data; " + how.encode() + b"\r\n\r\n" + content
            for how, content in parts]  # fmt: skip
    return b"\r\n".join([*made, b"--b--\r\n"])


def file(content: bytes, name: str = "p.jpg") -> tuple[str, bytes]:
    return f'name="photos"; filename="{name}"', content


def gzip_bomb() -> bytes:
    return zlib.compress(bytes(10_000_000))


BODIES: dict[str, tuple[Callable[[bytes], bytes], str, int, str]] = {
    "nothing": (lambda _: b"", "image/jpeg", 400, "No photo"),
    "many pixels": (lambda _: png(1_001), "image/png", 422, "more than max_pixels=1000000"),
    "a bomb": (lambda _: bomb(), "image/png", 422, "decompression bomb"),
    "cut off": (lambda photo: photo[:400], "image/jpeg", 415, "Not a photo that can be read"),
    "a web page": (lambda _: b"<!doctype html><script>", "image/jpeg", 415, "a web page"),
    "a drawing with a script": (lambda _: b"<svg onload=x>", "image/svg+xml", 415, "Not a photo"),
    "packed": (lambda _: gzip_bomb(), "image/png", 415, "Not a photo"),
    "numbers": (lambda _: np.arange(99).tobytes(), "application/octet-stream", 415, "Not a photo"),
    "json": (lambda _: b"{}", "application/json", 415, "Content-Type application/json"),
    "a type of HTML": (lambda _: b"x", "text/<script>", 415, "Content-Type text/<script>"),
    "too large": (lambda _: bytes(2**18 + 1), "image/jpeg", 413, "larger than 0.25 MiB"),
    "too many": (lambda photo: form(*[file(photo)] * 4), FORM, 413, "More than 3 photos"),
    "a field": (lambda _: form(('name="photos"', b"x")), FORM, 400, "fields that are no files"),
    "no name": (lambda _: form(("x", b"x")), FORM, 400, "cannot be read"),
    "no boundary": (lambda photo: form(file(photo)), "multipart/form-data", 400, "cannot be read"),
    "another boundary": (lambda photo: form(file(photo)), FORM + "c", 400, ""),
    "no form": (lambda _: b"\x00\xff" * 50, FORM, 400, ""),
    "empty form": (lambda _: form(), FORM, 400, "No photo"),
}


@pytest.mark.parametrize("what", BODIES)
def test_a_body(small: tuple[Service, bytes], what: str) -> None:
    found, photo = small
    make, kind, status, says = BODIES[what]
    answer = found.posted(make(photo), kind)
    assert (answer.status, answer.headers["content-type"]) == (status, "application/json")
    assert says in answer.json["detail"] and set(answer.json) == {"detail"}
    assert found.posted(photo).status == 200


def test_names_are_text_and_one_bad_photo_spoils_no_other(
    small: tuple[Service, bytes], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found, photo = small
    monkeypatch.chdir(tmp_path)
    name = "../../<img src=x onerror=alert(1)>" + "\u202e" + "n" * 400
    parts = (file(photo, name), file(b"<html>", "/etc/passwd"), file(photo, ""))
    answer = found.posted(form(*parts), FORM)
    assert answer.status == 200 and answer.headers["content-type"] == "application/json"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert "default-src 'none'" in answer.headers["content-security-policy"]
    one, two, three = answer.json["photos"]
    assert one["photo"].startswith("../../<img") and len(one["photo"]) == 200
    assert "\u202e" not in one["photo"] and not one["error"]
    assert two["photo"] == "/etc/passwd" and "a web page" in two["error"] and not two["answers"]
    assert one["answers"] == three["answers"] == found.posted(photo).json["photos"][0]["answers"]
    assert not list(tmp_path.iterdir())


RAW: dict[str, tuple[Callable[[int], bytes], int]] = {
    "no HTTP": (lambda _: b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(99), 400),
    "two lengths": (lambda p: request(p, b"x", "a/b", Transfer_Encoding="chunked, gzip"), 400),
    "a length of words": (lambda p: request(p, b"", "image/png", Content_Length="many"), 400),
    "a negative length": (lambda p: request(p, b"", "image/png", Content_Length="-1"), 400),
    "headers without end": (lambda p: b"GET / HTTP/1.1\r\nX: " + b"a" * 2**20, 400),
    "slow headers": (lambda p: b"GET / HTTP/1.1\r\nHost:", 408),
    "a slow body": (lambda p: request(p, b"x", "image/png", Content_Length="9"), 408),
    "too large by parts": (
        lambda p: request(p, b"", "image/png", Transfer_Encoding="chunked").replace(
            b"Content-Length: 0\r\n", b""
        ) + b"80000\r\n" + bytes(2**19) + b"\r\n0\r\n\r\n", 413),
    "waits for leave": (
        lambda p: request(p, b"", "image/png", Content_Length="999999999", Expect="100-continue"),
        413,
    ),
    "a foreign name": (lambda p: request(p, b"", "", "/", "GET", Host="evil.example"), 403),
    "a foreign page": (lambda p: request(p, b"", "", Origin="http://evil.example"), 403),
    "no page": (lambda p: request(p, b"", "", Origin="null"), 403),
    "another method": (lambda p: request(p, b"", "", "/predict", "DELETE"), 405),
    "another place": (lambda p: request(p, b"", "", "/../../etc/passwd<script>", "GET"), 404),
    "too few classes": (lambda p: request(p, b"x", "image/png", "/predict?top=0"), 400),
    "a top of words": (lambda p: request(p, b"x", "image/png", "/predict?top=<b>"), 400),
    "reload through a proxy": (lambda p: request(p, b"", "", "/reload", X_Real_IP="8.8.8.8"), 403),
}  # fmt: skip


@pytest.mark.parametrize("what", RAW)
def test_a_request(small: tuple[Service, bytes], what: str) -> None:
    found, photo = small
    make, status = RAW[what]
    try:
        answer = found.sent(make(found.port))
    except (ConnectionResetError, BrokenPipeError):
        assert what == "headers without end"  # the rest was not read
        return
    assert answer.status == status and b"<script>" not in answer.body
    assert found.posted(photo).status == 200


def test_who_connects_and_says_nothing_is_sent_away(small: tuple[Service, bytes]) -> None:
    found, _ = small
    with socket.create_connection(("127.0.0.1", found.port), timeout=20) as connection:
        assert said(connection).status == 0
        begun = time.monotonic()
    with socket.create_connection(("127.0.0.1", found.port), timeout=20) as connection:
        connection.sendall(request(found.port, b"", "", "/health", "GET"))
        assert said(connection).status == 200
        connection.sendall(b"GET /hea")  # a second request that never ends
        assert said(connection).status == 408
    assert time.monotonic() - begun < 10


def test_too_many_at_once_and_too_slow_an_engine(
    small: tuple[Service, bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    found, photo = small
    served = found.serving.current

    def broken(*_: Any) -> np.ndarray:
        raise RuntimeError("secret")

    monkeypatch.setattr(served.answers, "of_batch", broken)
    answer = found.posted(photo)
    assert answer.status == 500 and answer.json == {"detail": "The model could not answer."}
    with service_of(found, "requests=1", "answer_seconds=0.3") as (other, slow):
        slow.append(0.8)
        assert other.posted(photo).status == 504
        with socket.create_connection(("127.0.0.1", other.port), timeout=20) as first:
            first.sendall(request(other.port, b"x", "image/png", Content_Length="2"))
            wait_for(lambda: b"under_way 1.0" in other.got("/metrics").body)
            answer = other.posted(photo)
            assert answer.status == 503 and answer.headers["retry-after"] == "1"
            assert "1 requests are under way" in answer.json["detail"]
            first.sendall(b"x")
            assert said(first).status == 415


def test_explanations_have_a_number_and_a_time_and_end_with_who_asked(
    small: tuple[Service, bytes],
) -> None:
    found, photo = small
    folder, begun, ended = found.serving.found.folder, list[int](), threading.Event()

    def slow(*_: Any) -> dict[str, Any]:
        begun.append(1)
        ended.wait(20)
        return {}

    with service(
        folder, folder.parent / "kept", "explanations=1", "explain_seconds=2",
        explanation=lambda *_: slow,
    ) as other:  # fmt: skip
        api = other.got("/openapi.json").json["paths"]["/explain"]["post"]["responses"]
        assert {"501", "503", "504"} <= set(api)
        with socket.create_connection(("127.0.0.1", other.port), timeout=20) as first:
            first.sendall(request(other.port, photo, "image/jpeg", "/explain"))
            wait_for(lambda: bool(begun))
            assert other.posted(photo, path="/explain").status == 503
        # It hung up, and its place is free: who comes next waits for what still runs.
        wait_for(lambda: b'path="/explain",status="499"' in other.got("/metrics").body)
        answer = other.posted(photo, path="/explain")
        assert answer.status == 504 and answer.json["detail"] == "Not answered within 2 s."
        ended.set()
        assert other.posted(photo, path="/explain").status == 200
        assert len(begun) == 2  # of him whose time was over before his turn nothing was computed


def wait_for(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.01)


class service_of:
    """Another service of the same model, whose engine takes as long as is appended."""

    def __init__(self, found: Service, *changes: str) -> None:
        served = found.serving
        self._made = service(served.found.folder, served.found.folder.parent / "kept", *changes)

    def __enter__(self) -> tuple[Service, list[float]]:
        other = self._made.__enter__()
        seconds: list[float] = []
        answers = other.serving.current.answers
        of_batch = answers.of_batch

        def slowly(*batch: Any) -> np.ndarray:
            if seconds:
                time.sleep(seconds.pop())
            return of_batch(*batch)

        answers.of_batch = slowly  # type: ignore[method-assign]
        return other, seconds

    def __exit__(self, *error: Any) -> None:
        self._made.__exit__(*error)


def test_pages_elsewhere_may_ask_where_that_was_said(small: tuple[Service, bytes]) -> None:
    found, photo = small
    folder = found.serving.found.folder
    shop = "https://shop.example"
    with service(folder, folder.parent / "kept", origins=(shop,)) as open_one:
        answer: Said = open_one.posted(photo, Origin=shop)
        assert answer.status == 200
        assert answer.headers["access-control-allow-origin"] == shop
        assert open_one.posted(photo, Origin="https://evil.example").status == 403
    assert "access-control-allow-origin" not in found.posted(photo).headers
