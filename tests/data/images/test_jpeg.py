"""Plain JPEGs by libjpeg-turbo alone: Pillow's pixels, and Pillow's word on what is not whole."""

from __future__ import annotations

import io
import random
from collections.abc import Iterator

import numpy as np
import pytest
from PIL import Image

from graftwork.data.images import UnreadableImage, jpeg
from graftwork.data.images.decoding import examine

MOST = 10**8  # pixels


def picture(width: int, height: int) -> Image.Image:
    steps = np.random.default_rng(0).normal(0, 1, (height, width, 3))
    smooth = np.cumsum(np.cumsum(steps, axis=0), axis=1) * 2 + 128
    return Image.fromarray(np.clip(smooth, 0, 255).astype(np.uint8))


def written(image: Image.Image, **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", **options)
    return buffer.getvalue()


def every_kind() -> Iterator[bytes]:
    for width, height in ((348, 348), (97, 133), (1, 1), (7, 250)):
        for subsampling in (0, 1, 2):
            for progressive in (False, True):
                options = {"subsampling": subsampling, "progressive": progressive}
                yield written(picture(width, height), quality=75, **options)
    yield written(picture(64, 48), quality=100, restart_marker_blocks=3)


def by_pillow(content: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(content)).convert("RGB"))


@pytest.mark.parametrize("content", list(every_kind()))
def test_pixels_are_those_of_pillow(content: bytes) -> None:
    found = jpeg.pixels(content)
    assert found is not None
    np.testing.assert_array_equal(found, by_pillow(content))
    np.testing.assert_array_equal(examine(content, MOST)[1], found)


@pytest.mark.parametrize(
    ("mode", "side", "plain"),
    [
        ("RGB", None, True),
        ("RGB", 33, True),
        ("RGB", 32, False),  # Pillow has it decoded at half its size
        ("L", None, False),
        ("CMYK", None, False),
    ],
)
def test_what_is_plain(mode: str, side: int | None, plain: bool) -> None:
    content = written(picture(80, 64).convert(mode))
    assert jpeg.is_plain(Image.open(io.BytesIO(content)), side) is plain


def test_other_formats_are_not_plain() -> None:
    buffer = io.BytesIO()
    picture(8, 8).save(buffer, "PNG")
    assert not jpeg.is_plain(Image.open(buffer), None)


def test_what_is_cut_short_is_refused_in_pillows_words() -> None:
    content = written(picture(64, 64))
    assert jpeg.pixels(content[: len(content) // 2]) is None
    with pytest.raises(UnreadableImage, match="truncated"):
        examine(content[: len(content) // 2], MOST)


def test_damaged_pictures_are_judged_as_by_pillow_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    numbers, whole = random.Random(0), written(picture(97, 133), quality=75)
    damaged = []
    for _ in range(300):
        content = bytearray(whole)
        for _ in range(numbers.randrange(1, 4)):
            content[numbers.randrange(len(content))] = numbers.randrange(256)
        damaged.append(bytes(content))
    ours = [judged(content) for content in damaged]
    monkeypatch.setattr(jpeg, "is_plain", lambda image, side: False)
    assert ours == [judged(content) for content in damaged]
    assert 0 < sum(isinstance(one, bytes) for one in ours) < len(ours)


def judged(content: bytes) -> bytes | str:
    try:
        return examine(content, MOST)[1].tobytes()
    except UnreadableImage as error:
        return str(error)
