"""Bytes to pixels, by one policy.

| in the file                | what becomes of it                                                |
|----------------------------|-------------------------------------------------------------------|
| EXIF orientation           | applied; HEIC's own turns instead of it                           |
| transparency of any kind   | composited on white                                               |
| palette, 1 bit, grey, CMYK | converted to RGB                                                  |
| 16-bit grey                | 65535 becomes 255: never clipped, never stretched                 |
| float and 32-bit integers  | smallest value 0, largest 255, as such files have no common scale |
| NaN or infinite values     | refused                                                           |
| several frames             | the first                                                         |
| colour profile             | ignored                                                           |
| truncated or damaged data  | refused where the decoder notices                                 |
| more than `max_pixels`     | refused before decoding                                           |

Pillow decodes, or libjpeg-turbo alone what is plain and whole: the same pixels (see
graftwork.data.images.jpeg). OpenCV would fill truncated pictures with grey, and accepts damaged
ones that Pillow refuses.
"""

from __future__ import annotations

import math
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

import numpy as np
from PIL import ExifTags, Image, UnidentifiedImageError

from graftwork.data.images import capture_time, heic, jpeg
from graftwork.data.images.resizing import fit_side

POLICY = 1  # raise it when the same bytes begin to give other pixels: decoded stores start anew

# Those that photos come in; none of them makes Pillow start another program (EPS does).
FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "PPM", "JPEG2000", "AVIF")
ORIENTATION = 0x0112  # EXIF tag
STRIP = 2**22  # pixels that are converted at once
MOST_SCANNED = 10**10  # pixels of progressive JPEGs, about ten seconds; ten scans are usual
WIDE = ("I;16", "I;16L", "I;16B", "I;16N", "I", "F")  # modes of more than 8 bits a channel


class UnreadableImage(ValueError):
    """A file that cannot be used as a picture; the text says why, without the file's name."""


class TooManyPixels(UnreadableImage):
    """More than are admitted."""


@dataclass(frozen=True)
class Header:
    """What a picture says of itself before it is decoded."""

    width: int  # px, upright
    height: int
    several_frames: bool  # animated, or of several pages
    turned: bool  # carries an EXIF orientation other than upright
    taken: float  # capture time; see `graftwork.data.images.capture_time`


def inspect(data: bytes | Path, max_pixels: int) -> Header:
    """Reads the header alone.

    Raises:
        UnreadableImage: not a picture, or more than `max_pixels`. Damage further on goes unseen.
    """
    with _opened(data, max_pixels) as (image, _):
        return _header(image)


def decode(data: bytes | Path, max_pixels: int, side: int | None = None) -> np.ndarray:
    """The first frame, upright.

    Args:
        data: the file's bytes, or its path.
        max_pixels: larger pictures are refused.
        side: shrink to this shorter side (px; never enlarged). Large JPEGs are then decoded at
            1/2, 1/4 or 1/8 of their size, which is several times faster. Whoever wants the pixels
            of the decoded store must ask for its `side`.

    Returns:
        uint8 RGB `[height, width, 3]`.

    Raises:
        UnreadableImage: it cannot be decoded.
    """
    return examine(data, max_pixels, side)[1]


def examine(
    data: bytes | Path, max_pixels: int, side: int | None = None
) -> tuple[Header, np.ndarray]:
    """Header and pixels at once; see `decode`."""
    with _opened(data, max_pixels) as (image, content):
        header = _header(image)
        plain = jpeg.pixels(content) if jpeg.is_plain(image, side) else None
        if side is not None and image.format == "JPEG":
            image.draft(None, (side, side))  # the smallest scale at which neither side is below
        orientation = 1 if image.format == "TIFF" else _orientation(image)  # TIFF: Pillow turns
        pixels = _turn(_rgb(image) if plain is None else plain, orientation)
    return header, pixels if side is None else fit_side(pixels, side)


@contextmanager
def _opened(data: bytes | Path, max_pixels: int) -> Iterator[tuple[Image.Image, bytes]]:
    """An open image within bounds, and the file's bytes; whatever goes wrong inside becomes
    UnreadableImage."""
    try:
        content = data.read_bytes() if isinstance(data, Path) else data
    except OSError as error:
        raise UnreadableImage(f"cannot be read: {error.strerror}") from error
    try:
        with _PILLOW_SILENT, _file(content) as image:
            if image.width * image.height > max_pixels:
                size = f"{image.width} x {image.height} px"
                raise TooManyPixels(f"{size} are more than max_pixels={max_pixels}")
            if _scanned(image, content) > MOST_SCANNED:
                raise UnreadableImage("so many scans that decoding would take minutes: a bomb")
            yield image, content
    except (UnreadableImage, MemoryError):
        raise
    except UnidentifiedImageError:
        raise UnreadableImage(_what_else(content)) from None
    except Image.DecompressionBombError as error:  # Pillow's own bound, of twice 89 megapixels
        raise TooManyPixels(str(error)) from error
    except Exception as error:  # a decoder may raise anything at damaged data
        reason = " ".join(str(error).split()) or type(error).__name__
        raise UnreadableImage(reason) from error


def _scanned(image: Image.Image, content: bytes) -> int:
    """Pixels that all scans of a progressive JPEG go through: its last ones may be a few bytes."""
    scans = content.count(b"\xff\xda") if image.info.get("progressive") else 0
    return scans * image.width * image.height


def _file(content: bytes) -> Image.Image:
    if not heic.is_heic(content):
        return Image.open(BytesIO(content), formats=FORMATS)
    if not heic.available():
        raise UnreadableImage(heic.REMEDY)
    return heic.opened(content)


def _what_else(content: bytes) -> str:
    """Why bytes that are no picture may carry a picture's name."""
    start = content[:512].lstrip().lower()
    if not content:
        return "empty file"
    if start.startswith((b"<!doctype html", b"<html")):
        return "a web page, not an image"
    if start.startswith(b"version https://git-lfs"):
        return "a Git LFS pointer, not an image: run `git lfs pull`"
    return "not an image of a known format"


def _header(image: Image.Image) -> Header:
    orientation = _orientation(image)
    width, height = image.size
    if orientation >= 5 and image.format != "TIFF":  # Pillow reports TIFF sizes upright
        width, height = height, width
    # MPO holds two views of one scene (3D cameras, some phones): not an animation.
    several = image.format != "MPO" and getattr(image, "is_animated", False)
    return Header(width, height, bool(several), orientation != 1, _taken(image))


def _orientation(image: Image.Image) -> int:
    """1 (upright) to 8, as EXIF counts; a damaged EXIF block counts as upright."""
    if not _has_exif(image):
        return 1
    try:
        orientation = image.getexif().get(ORIENTATION, 1)
    except Exception:  # as above: anything
        return 1
    return orientation if orientation in range(1, 9) else 1


def _taken(image: Image.Image) -> float:
    """Seconds since the epoch; NaN where the picture or a damaged EXIF block does not say."""
    if not _has_exif(image):
        return math.nan
    try:
        return capture_time.seconds(image.getexif().get_ifd(ExifTags.IFD.Exif))
    except Exception:  # as above: anything
        return math.nan


def _has_exif(image: Image.Image) -> bool:
    """False for most pictures: asking Pillow costs more than opening the file."""
    blocks = {"exif", "xmp", "Raw profile type exif"}
    return image.format == "TIFF" or bool(image.info.keys() & blocks)


def _turn(pixels: np.ndarray, orientation: int) -> np.ndarray:
    """Undoes an EXIF orientation (EXIF 2.32, section 4.6.4, tag 0x0112)."""
    if orientation >= 5:
        pixels = pixels.transpose(1, 0, 2)
    if orientation in (3, 4, 7, 8):
        pixels = pixels[::-1]
    if orientation in (2, 3, 6, 7):
        pixels = pixels[:, ::-1]
    return np.ascontiguousarray(pixels)


def _rgb(image: Image.Image) -> np.ndarray:
    """Strip by strip: what large pictures need beside themselves and the result is a few MiB."""
    if image.mode in WIDE:
        grey = _eight_bits(np.asarray(image), image.mode)
        return np.repeat(grey[:, :, None], 3, axis=2)
    width, height = image.size
    strips = list(_strips(height, width))
    if len(strips) == 1:
        return _opaque(image)
    pixels = np.empty((height, width, 3), np.uint8)
    for rows in strips:
        pixels[rows] = _opaque(image.crop((0, rows.start, width, rows.stop)))
    return pixels


def _strips(height: int, width: int) -> Iterator[slice]:
    rows = max(1, STRIP // max(1, width))
    for top in range(0, height, rows):
        yield slice(top, min(top + rows, height))


def _opaque(image: Image.Image) -> np.ndarray:
    if image.has_transparency_data:
        image = image.convert("RGBA")
        white = Image.new("RGBA", image.size, "white")
        image = Image.alpha_composite(white, image)
    return np.asarray(image if image.mode == "RGB" else image.convert("RGB"))


def _eight_bits(values: np.ndarray, mode: str) -> np.ndarray:
    """Grey values of more than 8 bits, `[height, width]`, to uint8."""
    if not np.isfinite(values).all():
        raise UnreadableImage("holds values that are not finite")
    low, high = float(values.min()), float(values.max())
    if mode != "F" and low >= 0 and high <= 65535:  # some 16-bit formats open as 32-bit integers
        low, high = 0, 65535
    result = np.empty(values.shape, np.uint8)
    for rows in _strips(*values.shape):
        result[rows] = np.rint(
            (values[rows].astype(np.float64) - low) * (255 / ((high - low) or 1))
        )
    return result


class _Silence:
    """Keeps Pillow's warnings off while any thread is inside.

    `warnings.catch_warnings` alone restores the wrong filters when threads overlap.
    """

    def __init__(self) -> None:
        self._lock, self._inside = threading.Lock(), 0
        self._caught = warnings.catch_warnings()

    def __enter__(self) -> None:
        with self._lock:
            if self._inside == 0:
                self._caught = warnings.catch_warnings()
                self._caught.__enter__()
                warnings.filterwarnings("ignore", module=r"PIL\.")
            self._inside += 1

    def __exit__(self, *_: object) -> None:
        with self._lock:
            self._inside -= 1
            if self._inside == 0:
                self._caught.__exit__(None, None, None)


_PILLOW_SILENT = _Silence()
