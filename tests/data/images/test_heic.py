"""HEIC, on files that pillow-heif itself writes."""

from __future__ import annotations

import io
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from graftwork.data.datasets import class_folders, left_out
from graftwork.data.images import UnreadableImage, decode, heic, inspect
from graftwork.data.preparing import passed_over

pillow_heif = pytest.importorskip("pillow_heif", reason="pip install 'graftwork[heic]'")

# Four colours of 32 x 48 px each: no two corners are alike, whatever the codec does to details.
QUARTERS = np.zeros((64, 96, 3), np.uint8)
QUARTERS[:32, :48], QUARTERS[:32, 48:] = (200, 40, 40), (40, 200, 40)
QUARTERS[32:, :48], QUARTERS[32:, 48:] = (40, 40, 200), (200, 200, 200)


def encoded(pixels: np.ndarray, kind: str = "HEIF", **options: object) -> bytes:
    image, written = Image.fromarray(pixels), io.BytesIO()
    if kind == "HEIF":
        pillow_heif.from_pillow(image).save(written, quality=95, **options)
    else:
        image.save(written, kind, **options)
    return written.getvalue()


def exif(orientation: int, taken: str = "") -> bytes:
    block = Image.Exif()
    block[0x0112] = orientation
    if taken:
        block.get_ifd(0x8769)[0x9003] = taken
    return block.tobytes()


def assert_near(found: np.ndarray, expected: np.ndarray) -> None:
    assert found.shape == expected.shape and found.dtype == np.uint8
    assert np.abs(found.astype(int) - expected).mean() < 4


def test_it_is_decoded() -> None:
    data = encoded(QUARTERS)
    assert heic.is_heic(data)
    assert_near(decode(data, 10_000), QUARTERS)
    header = inspect(data, 10_000)
    assert (header.width, header.height, header.several_frames) == (96, 64, False)
    assert decode(data, 10_000, side=32).shape == (32, 48, 3)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_it_is_turned_upright_as_a_jpeg_is(orientation: int) -> None:
    block = exif(orientation)
    jpeg = encoded(QUARTERS, "JPEG", exif=block, quality=95)
    data = encoded(QUARTERS, exif=block)
    expected = decode(jpeg, 10_000)
    assert_near(decode(data, 10_000), expected)
    header = inspect(data, 10_000)
    assert (header.height, header.width) == expected.shape[:2]


def test_it_says_when_it_was_taken() -> None:
    header = inspect(encoded(QUARTERS, exif=exif(1, "2026:05:04 10:11:12")), 10_000)
    jpeg = inspect(encoded(QUARTERS, "JPEG", exif=exif(1, "2026:05:04 10:11:12")), 10_000)
    assert header.taken == jpeg.taken and not np.isnan(header.taken)


def test_it_is_bounded_and_judged_as_others_are() -> None:
    data = encoded(QUARTERS)
    with pytest.raises(UnreadableImage, match="96 x 64 px are more than max_pixels=100"):
        decode(data, 100)
    for damaged in (data[: len(data) // 2], data[:40]):
        with pytest.raises(UnreadableImage):
            decode(damaged, 10_000)
    transparent = np.dstack([QUARTERS, np.zeros((64, 96), np.uint8)])
    assert_near(decode(encoded(transparent), 10_000), np.full((64, 96, 3), 255, np.uint8))


def test_avif_is_none() -> None:
    data = encoded(QUARTERS, "AVIF", quality=95)
    assert not heic.is_heic(data)
    assert_near(decode(data, 10_000), QUARTERS)
    assert not heic.is_heic(b"") and not heic.is_heic(b"\0\0\0\x18ftypavif\0\0\0\0mif1heic"[:12])
    assert heic.is_heic(b"\0\0\0\x18ftypmif1\0\0\0\0mif1heic")
    assert not heic.is_heic(b"\0\0\0\x14ftypmif1\0\0\0\0avifheic"), "beyond the box"


def test_its_files_are_listed(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    for name in ("1.HEIC", "2.heif", "3.jpg", "4.pdf"):
        (tmp_path / "a" / name).touch()
    found = class_folders.pictures(tmp_path / "a", tmp_path)
    assert [path.name for path in found] == ["1.HEIC", "2.heif", "3.jpg"]


def test_without_the_package_its_files_are_refused_with_the_remedy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(heic, "find_spec", lambda name: None)
    with pytest.raises(UnreadableImage, match=r"pip install 'graftwork\[heic\]'"):
        decode(encoded(QUARTERS), 10_000)
    monkeypatch.setattr(class_folders, "find_spec", lambda name: None)
    suffixes = class_folders.image_suffixes.__wrapped__()
    monkeypatch.setattr(class_folders, "image_suffixes", lambda: suffixes)
    (tmp_path / "1.heic").touch()
    counted = left_out.LeftOut()
    assert not list(class_folders.pictures(tmp_path, tmp_path.parent, counted))
    assert str(counted) == "1 .heic (pip install 'graftwork[heic]' lets them be read)"
    (tmp_path / "source.json").write_text(json.dumps({"left_out": counted.receipt()}))
    (finding,) = passed_over.findings(passed_over.read(tmp_path))
    assert "not read: .heic (pip install 'graftwork[heic]' lets them be read)" in finding


def test_the_package_is_imported_for_such_pictures_alone() -> None:
    code = """
import io, sys
from PIL import Image
from graftwork.data.images import decode
written = io.BytesIO()
Image.new("RGB", (8, 8)).save(written, "JPEG")
decode(written.getvalue(), 100)
assert "pillow_heif" not in sys.modules
"""
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
