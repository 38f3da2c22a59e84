from __future__ import annotations

import threading
import warnings
from io import BytesIO

import numpy as np
import pytest
from PIL import Image, ImageOps
from PIL.PngImagePlugin import PngInfo

from graftwork.data.images import UnreadableImage, decode, fit_side, inspect

LIMIT = 10**7
GRADIENT = np.arange(48 * 64 * 3, dtype=np.uint32).reshape(48, 64, 3).astype(np.uint8)
SMOOTH = np.stack(np.broadcast_arrays(*np.ogrid[0:48, 0:64], 90), -1).astype(np.uint8)


def encoded(image: Image.Image | np.ndarray, kind: str = "PNG", **options) -> bytes:
    out = BytesIO()
    image = image if isinstance(image, Image.Image) else Image.fromarray(image)
    image.save(out, kind, **options)
    return out.getvalue()


def turned(orientation: int, kind: str) -> bytes:
    exif = Image.Exif()
    exif[0x0112] = orientation
    return encoded(SMOOTH, kind, exif=exif)


@pytest.mark.parametrize("kind", ["PNG", "BMP", "TIFF", "PPM"])
def test_plain_pictures_come_back_as_they_are(kind):
    assert np.array_equal(decode(encoded(GRADIENT, kind), LIMIT), GRADIENT)


@pytest.mark.parametrize("subsampling", [0, 1, 2])
def test_jpeg_is_what_pillow_makes_of_it(subsampling):
    data = encoded(SMOOTH, "JPEG", subsampling=subsampling)
    assert np.array_equal(decode(data, LIMIT), np.asarray(Image.open(BytesIO(data))))


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "TIFF", "WEBP"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation_is_applied(orientation, kind):
    data = turned(orientation, kind)
    upright = np.asarray(ImageOps.exif_transpose(Image.open(BytesIO(data))).convert("RGB"))
    result = decode(data, LIMIT)
    assert np.array_equal(result, upright)
    header = inspect(data, LIMIT)
    assert (header.height, header.width) == result.shape[:2]
    assert header.turned == (orientation != 1)


def test_a_damaged_exif_block_counts_as_upright():
    data = encoded(SMOOTH, "JPEG", exif=b"Exif\0\0II*\0\xff\xff\xff\xff")
    assert decode(data, LIMIT).shape == SMOOTH.shape
    assert not inspect(data, LIMIT).turned
    text = PngInfo()
    text.add_text("Raw profile type exif", "\nexif\n4\nnot hexadecimal")
    assert np.array_equal(decode(encoded(SMOOTH, pnginfo=text), LIMIT), SMOOTH)


def transparent(mode: str) -> Image.Image:
    """Left half opaque black, right half fully transparent, whatever colour hides there."""
    alpha = np.zeros((4, 8), np.uint8)
    alpha[:, :4] = 255
    image = Image.new("RGBA", (8, 4), (0, 0, 0, 255))
    image.putalpha(Image.fromarray(alpha))
    return image.convert(mode)


@pytest.mark.parametrize("mode", ["RGBA", "LA"])
def test_transparency_lies_on_white(mode):
    result = decode(encoded(transparent(mode)), LIMIT)
    assert (result[:, :4] == 0).all() and (result[:, 4:] == 255).all()


def test_half_transparent_red_on_white_is_pink():
    result = decode(encoded(Image.new("RGBA", (2, 2), (255, 0, 0, 128))), LIMIT)
    assert np.abs(result[0, 0].astype(int) - (255, 127, 127)).max() <= 1


@pytest.mark.parametrize("transparency", [1, b"\xff\x00"])
def test_palette_with_transparency(transparency):
    image = Image.new("P", (8, 4))
    image.putpalette([10, 20, 30, 200, 100, 50])
    image.paste(1, (4, 0, 8, 4))
    result = decode(encoded(image, transparency=transparency), LIMIT)
    assert (result[:, :4] == (10, 20, 30)).all() and (result[:, 4:] == 255).all()


def test_one_transparent_colour_in_rgb():
    result = decode(encoded(Image.new("RGB", (2, 2), "red"), transparency=(255, 0, 0)), LIMIT)
    assert (result == 255).all()


def test_palette_and_one_bit_and_grey():
    palette = Image.fromarray(SMOOTH).quantize(16)
    assert np.array_equal(decode(encoded(palette), LIMIT), np.asarray(palette.convert("RGB")))
    bits = Image.fromarray(np.eye(9, dtype=bool))
    assert np.array_equal(decode(encoded(bits), LIMIT)[..., 0], np.eye(9, dtype=np.uint8) * 255)
    grey = np.full((4, 5), 77, np.uint8)
    assert (decode(encoded(grey), LIMIT) == 77).all()


@pytest.mark.parametrize("kind", ["PNG", "TIFF", "PPM"])
def test_16_bit_grey_is_scaled_and_not_clipped(kind):
    ramp = np.linspace(0, 65535, 256).round().astype(np.uint16).reshape(16, 16)
    result = decode(encoded(ramp, kind), LIMIT)
    assert result.shape == (16, 16, 3)
    assert np.array_equal(result[..., 1].ravel(), np.arange(256))


def test_16_bit_grey_is_not_stretched():
    dark = np.full((4, 4), 257 * 20, np.uint16)
    assert (decode(encoded(dark), LIMIT) == 20).all()


def test_float_is_scaled_by_its_range():
    values = np.linspace(-3, 5, 256, dtype=np.float32).reshape(16, 16)
    result = decode(encoded(values, "TIFF"), LIMIT)
    assert np.array_equal(result[..., 0].ravel(), np.arange(256))
    flat = decode(encoded(np.full((2, 2), 0.5, np.float32), "TIFF"), LIMIT)
    assert (flat == flat[0, 0]).all()


def test_32_bit_integers_are_scaled_by_their_range():
    values = np.linspace(-(10**6), 10**6, 256).round().astype(np.int32).reshape(16, 16)
    assert np.array_equal(decode(encoded(values, "TIFF"), LIMIT)[..., 2].ravel(), np.arange(256))


def test_float_that_is_not_finite_is_refused():
    with pytest.raises(UnreadableImage, match="not finite"):
        decode(encoded(np.array([[0, np.nan]], np.float32), "TIFF"), LIMIT)


@pytest.mark.parametrize("kind", ["JPEG", "TIFF"])
def test_cmyk_is_converted(kind):
    data = encoded(Image.new("CMYK", (8, 8), (0, 255, 255, 0)), kind)
    red, green, blue = decode(data, LIMIT)[4, 4]
    assert red > 200 and green < 60 and blue < 60


@pytest.mark.parametrize("kind", ["GIF", "PNG", "WEBP", "TIFF"])
def test_of_several_frames_the_first(kind):
    frames = [Image.new("RGB", (6, 6), colour) for colour in ("red", "blue")]
    options = {"lossless": True} if kind == "WEBP" else {}
    data = encoded(frames[0], kind, save_all=True, append_images=frames[1:], **options)
    assert (decode(data, LIMIT) == (255, 0, 0)).all()
    assert inspect(data, LIMIT).several_frames
    assert not inspect(encoded(frames[0], kind), LIMIT).several_frames


def test_two_views_of_one_scene_are_no_animation():
    data = encoded(SMOOTH, "MPO", save_all=True, append_images=[Image.fromarray(SMOOTH)])
    assert decode(data, LIMIT).shape == SMOOTH.shape
    assert not inspect(data, LIMIT).several_frames


NOISE = np.random.default_rng(0).integers(0, 256, (48, 64, 3), dtype=np.uint8)
JPEG, PNG = encoded(GRADIENT, "JPEG"), encoded(NOISE)


def test_a_truncated_jpeg_is_refused_also_at_reduced_size():
    data = encoded(Image.fromarray(GRADIENT).resize((640, 480)), "JPEG")
    with pytest.raises(UnreadableImage, match="truncated"):
        decode(data[: len(data) * 3 // 4], LIMIT, side=32)


def test_too_many_pixels_are_refused_before_decoding():
    bomb = encoded(Image.new("1", (10_000, 10_001)))  # more than Pillow warns of
    with pytest.raises(
        UnreadableImage, match="10000 x 10001 px are more than max_pixels=100000000"
    ):
        decode(bomb, 10**8)
    with pytest.raises(UnreadableImage, match="max_pixels=3071"):
        inspect(JPEG, 48 * 64 - 1)
    assert inspect(JPEG, 48 * 64).width == 64


def test_what_pillow_itself_refuses_is_unreadable(monkeypatch):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 1000)
    with pytest.raises(UnreadableImage, match="decompression bomb"):
        decode(JPEG, LIMIT)


def test_files_by_path(tmp_path):
    path = tmp_path / "früchte 果物.jpg"
    path.write_bytes(JPEG)
    assert np.array_equal(decode(path, LIMIT), decode(JPEG, LIMIT))
    with pytest.raises(UnreadableImage, match="cannot be read: No such file"):
        decode(tmp_path / "nothing.jpg", LIMIT)


def test_large_jpegs_are_decoded_at_reduced_size(monkeypatch):
    data = encoded(Image.fromarray(SMOOTH).resize((1600, 1200), 3), "JPEG", quality=95)
    whole = fit_side(decode(data, LIMIT), 100)
    shrunk = []
    monkeypatch.setattr(
        "graftwork.data.images.decoding.fit_side",
        lambda pixels, side: shrunk.append(pixels.shape) or fit_side(pixels, side),
    )
    result = decode(data, LIMIT, side=100)
    assert shrunk == [(150, 200, 3)], "an eighth: the smallest that is not below 100"
    assert result.shape == whole.shape == (100, 133, 3)
    assert np.abs(result.astype(int) - whole).mean() < 2
    assert inspect(data, LIMIT).width == 1600


def test_a_side_never_enlarges():
    assert decode(JPEG, LIMIT, side=500).shape == (48, 64, 3)


def test_no_warning_of_pillow_leaks_and_the_filters_come_back():
    before = list(warnings.filters)
    corrupt = encoded(SMOOTH, "JPEG", exif=b"Exif\0\0II*\0\x08\0\0\0\x05\0\x12\x01\x03\0")
    faulty = [
        threading.Thread(target=lambda: [decode(corrupt, LIMIT) for _ in range(40)])
        for _ in range(4)
    ]
    for thread in faulty:
        thread.start()
    for thread in faulty:
        thread.join()
    assert warnings.filters == before


def test_the_corrupt_exif_above_does_warn_without_us():
    corrupt = encoded(SMOOTH, "JPEG", exif=b"Exif\0\0II*\0\x08\0\0\0\x05\0\x12\x01\x03\0")
    with pytest.warns(UserWarning, match="EXIF"):
        Image.open(BytesIO(corrupt)).getexif()
    decode(corrupt, LIMIT)
