from __future__ import annotations

import math
from datetime import UTC, datetime
from io import BytesIO

import pytest
from PIL import ExifTags, Image

from graftwork.data.images import decode, inspect
from graftwork.data.images.capture_time import seconds

LIMIT = 10**6
MAY = datetime(2024, 5, 31, 14, 3, 59, tzinfo=UTC).timestamp()
DATE, OFFSET, SUBSEC = 0x9003, 0x9011, 0x9291


def photo(kind: str, tags: dict[int, object]) -> bytes:
    exif = Image.Exif()
    exif[0x0110] = "a camera"  # Pillow writes no block whose main directory is empty
    exif.get_ifd(ExifTags.IFD.Exif).update(tags)
    out = BytesIO()
    # As bytes: of an object, Pillow 13 leaves the camera's directory out of a TIFF.
    Image.new("RGB", (9, 7), "red").save(out, kind, exif=exif.tobytes())
    return out.getvalue()


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "TIFF", "WEBP"])
def test_the_camera_says_when_the_photo_was_taken(kind):
    data = photo(kind, {DATE: "2024:05:31 14:03:59", SUBSEC: "25"})
    assert inspect(data, LIMIT).taken == MAY + 0.25
    assert decode(data, LIMIT).shape == (7, 9, 3)


@pytest.mark.parametrize("data", [photo("JPEG", {}), photo("PNG", {DATE: "yesterday"})])
def test_a_photo_that_does_not_say_has_no_time(data):
    assert math.isnan(inspect(data, LIMIT).taken)


ENDS = b"II*\0\x08\0\0\0\1\0\x69\x87\4\0\1\0\0\0\x1a\0\0\0\0\0\0\0\1"  # in the camera's directory


@pytest.mark.parametrize("block", [b"II*\0\xff\xff\xff\xff", b"no such thing", ENDS])
def test_a_damaged_exif_block_says_nothing(block):
    out = BytesIO()
    Image.new("RGB", (9, 7)).save(out, "JPEG", exif=b"Exif\0\0" + block)
    assert math.isnan(inspect(out.getvalue(), LIMIT).taken)


@pytest.mark.parametrize(
    ("tags", "expected"),
    [
        ({DATE: "2024:05:31 14:03:59"}, MAY),
        ({DATE: b"2024:05:31 14:03:59\0"}, MAY),
        ({DATE: "2024-05-31T14:03:59"}, MAY),
        ({DATE: "2024:05:31 14:03:59", SUBSEC: "5  "}, MAY + 0.5),
        ({DATE: "2024:05:31 14:03:59", SUBSEC: "x"}, MAY),
        ({DATE: "2024:05:31 14:03:59", SUBSEC: "\N{SUPERSCRIPT TWO}"}, MAY),
        ({DATE: "2024:05:31 14:03:59", OFFSET: "+02:30"}, MAY - 9000),
        ({DATE: "2024:05:31 14:03:59", OFFSET: "-01:00"}, MAY + 3600),
        ({DATE: "2024:05:31 14:03:59", OFFSET: "   :  "}, MAY),
        ({DATE: "0000:00:00 00:00:00"}, math.nan),
        ({DATE: "2024:13:31 14:03:59"}, math.nan),
        ({DATE: "    :  :     :  :  "}, math.nan),
        ({DATE: 7}, math.nan),
        ({}, math.nan),
    ],
)
def test_what_cameras_write(tags, expected):
    found = seconds(tags)
    assert found == expected or math.isnan(found) and math.isnan(expected)
