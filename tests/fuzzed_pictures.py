"""One changed picture, looked at. As a script: libFuzzer's process, for tests/fuzzing.py."""

from __future__ import annotations

import sys

MOST_PIXELS = 10**6


def take_picture(content: bytes) -> None:
    """Raises AssertionError (or whatever escapes) where it is neither seen nor refused."""
    from graftwork.data.images import UnreadableImage, decode

    try:
        pixels = decode(content, MOST_PIXELS, side=32)
    except UnreadableImage as error:
        assert str(error), "without a reason"
    else:
        assert pixels.dtype == "uint8" and pixels.ndim == 3 and pixels.shape[2] == 3


if __name__ == "__main__":
    import atheris

    with atheris.instrument_imports(include=["PIL", "graftwork.data.images"]):
        from PIL import Image

        import graftwork.data.images  # noqa: F401

        Image.init()
    atheris.Setup(sys.argv, take_picture)
    atheris.Fuzz()
