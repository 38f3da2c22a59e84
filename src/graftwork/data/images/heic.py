"""Photos of telephones: HEIC, by the package pillow-heif where it is installed.

Its opener is not registered with Pillow, which would be for the whole process: whoever finds such
bytes opens them here. The decoder applies turns itself, and its EXIF then says upright.
"""

from __future__ import annotations

from importlib.util import find_spec
from io import BytesIO

from PIL import Image

REMEDY = "HEIC needs one more package: pip install 'graftwork[heic]' (or convert it to JPEG)"
# ISO 23008-12, 10.2 and 10.3: HEVC pictures, one or several; the last two say it further on.
BRANDS = (b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"hevm", b"hevs")
GENERAL = (b"mif1", b"msf1")


def is_heic(content: bytes) -> bool:
    """Whether these bytes begin as HEIC does; AVIF has the same box with other brands."""
    if content[4:8] != b"ftyp":
        return False
    length = int.from_bytes(content[:4], "big")
    brand, compatible = content[8:12], content[16:length]
    return brand in BRANDS or (brand in GENERAL and any(name in compatible for name in BRANDS))


def available() -> bool:
    """Whether such pictures can be read here."""
    return find_spec("pillow_heif") is not None


def opened(content: bytes) -> Image.Image:
    """The picture, of which only the header has been read.

    Raises:
        SyntaxError: it is damaged.
    """
    from pillow_heif import HeifImageFile

    return HeifImageFile(BytesIO(content))
