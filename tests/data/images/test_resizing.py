from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from graftwork.config.errors import UserError
from graftwork.data.images import eval_view, fit_side
from graftwork.data.images.resizing import resize
from graftwork.models.base import InputSpec


def spec(size: int, crop_pct: float = 1.0, interpolation: str = "bicubic") -> InputSpec:
    return InputSpec(size, (0.5,) * 3, (0.5,) * 3, interpolation, crop_pct)


def photo(height: int, width: int) -> np.ndarray:
    """Smooth shapes with some noise, as in photographs."""
    y, x = np.ogrid[0 : 6 : height * 1j, 0 : 9 : width * 1j]
    shapes = 128 + 60 * np.sin(x * y) + 40 * np.cos(x + 2 * y)
    noise = np.random.default_rng(0).normal(0, 4, (height, width))
    return np.clip(np.stack([shapes + noise] * 3, -1), 0, 255).astype(np.uint8)


@pytest.mark.parametrize("target", [399, 320, 256, 183, 150, 77])
def test_shrinking_is_antialiased(target):
    image = photo(400, 400)
    pillow = Image.fromarray(image).resize((target, target), Image.Resampling.BICUBIC)
    for interpolation in ("bilinear", "bicubic"):
        result = resize(image, target, target, interpolation)
        assert np.abs(result.astype(int) - np.asarray(pillow)).mean() < 1.5


def test_a_fine_chessboard_becomes_grey():
    board = np.repeat((np.indices((256, 256)).sum(0) % 2 * 255)[..., None], 3, 2).astype(np.uint8)
    for target in (128, 100, 64, 40):
        result = resize(board, target, target, "bicubic")
        assert np.abs(result.astype(int) - 127).max() <= 1


def test_shrinking_does_not_depend_on_the_interpolation_but_enlarging_does():
    image = photo(50, 60)
    assert np.array_equal(resize(image, 33, 28, "bilinear"), resize(image, 33, 28, "bicubic"))
    larger = [resize(image, 90, 75, name) for name in ("nearest", "bilinear", "bicubic", "lanczos")]
    for index, one in enumerate(larger):
        assert all(not np.array_equal(one, other) for other in larger[index + 1 :])


def test_an_unknown_interpolation_names_the_legal_ones():
    with pytest.raises(UserError, match="Did you mean 'bicubic'"):
        resize(photo(8, 8), 4, 4, "cubic")


@pytest.mark.parametrize("shape", [(100, 151), (151, 100), (64, 64)])
def test_fit_side_keeps_the_proportions(shape):
    result = fit_side(photo(*shape), 50)
    assert min(result.shape[:2]) == 50
    assert result.shape[0] / result.shape[1] == pytest.approx(shape[0] / shape[1], rel=0.01)


def test_fit_side_never_enlarges():
    image = photo(20, 30)
    assert fit_side(image, 20) is image and fit_side(image, 999) is image


def test_eval_view_is_the_centre_of_the_resized_picture():
    image = photo(300, 420)
    resized = Image.fromarray(image).resize((359, 256), Image.Resampling.BICUBIC)
    left, top = (359 - 224) // 2, (256 - 224) // 2
    expected = np.asarray(resized.crop((left, top, left + 224, top + 224))).astype(int)
    view = eval_view(image, spec(224, 0.875))
    assert view.shape == (224, 224, 3) and view.dtype == np.uint8 and view.flags.c_contiguous
    assert np.abs(view - expected).mean() < 3
    corner = np.asarray(resized.crop((0, 0, 224, 224)))
    assert np.abs(view - corner.astype(int)).mean() > 20, "the test tells the centre from a corner"


def test_eval_view_of_the_right_size_is_the_picture_itself():
    image = photo(64, 64)
    assert np.array_equal(eval_view(image, spec(64)), image)
    assert np.array_equal(eval_view(image, spec(56, 0.875)), image[4:60, 4:60])


@pytest.mark.parametrize("shape", [(1, 1), (1, 500), (500, 1), (3, 2), (31, 33)])
def test_eval_view_of_any_picture(shape):
    assert eval_view(photo(*shape), spec(32, 0.9)).shape == (32, 32, 3)
