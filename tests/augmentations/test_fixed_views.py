from __future__ import annotations

import numpy as np
import pytest

from graftwork.augmentations.base import LEFT_RIGHT, UPSIDE_DOWN
from graftwork.augmentations.fixed_views import fixed_views
from graftwork.data.images import eval_view
from graftwork.models.base import InputSpec

SPEC = InputSpec(28, (0.5,) * 3, (0.5,) * 3, "bilinear", 0.5)


@pytest.fixture
def photo() -> np.ndarray:
    """64 high, 80 wide; evaluation sees 32 x 32 of it, corners are cut 28 x 28: as they are."""
    return np.random.default_rng(0).integers(0, 256, (64, 80, 3), dtype=np.uint8)


def test_the_first_is_what_evaluation_sees_and_the_second_its_mirror_image(
    photo: np.ndarray,
) -> None:
    first, second, *_ = fixed_views((LEFT_RIGHT,))
    assert np.array_equal(first(photo, SPEC), eval_view(photo, SPEC))
    assert np.array_equal(second(photo, SPEC), eval_view(photo, SPEC)[:, ::-1])


def test_ten_with_mirroring_are_the_centre_and_four_corners(photo: np.ndarray) -> None:
    found = [view(photo, SPEC) for view in fixed_views((LEFT_RIGHT,))[:10]]
    corners = [photo[:28, :28], photo[:28, -28:], photo[-28:, :28], photo[-28:, -28:]]
    for number, corner in enumerate(corners, 1):
        assert np.array_equal(found[2 * number], corner)
        assert np.array_equal(found[2 * number + 1], corner[:, ::-1])


def test_without_mirroring_no_view_is_mirrored(photo: np.ndarray) -> None:
    views = fixed_views(())
    assert len(views) == 10 and not any(view.mirrored for view in views)
    assert np.array_equal(views[1](photo, SPEC), photo[:28, :28])


def test_both_ways_together_turn_by_half_a_circle(photo: np.ndarray) -> None:
    views = fixed_views((LEFT_RIGHT, UPSIDE_DOWN))
    first = [view(photo, SPEC) for view in views[:4]]
    assert np.array_equal(first[2], first[0][::-1])
    assert np.array_equal(first[3], first[0][::-1, ::-1])
    assert len(views) == 40


@pytest.mark.parametrize("shape", [(64, 64, 3), (5, 90, 3), (1, 1, 3)])
def test_every_view_of_any_picture_has_the_networks_size(shape: tuple[int, ...]) -> None:
    picture = np.zeros(shape, np.uint8)
    for view in fixed_views((LEFT_RIGHT, UPSIDE_DOWN)):
        assert view(picture, SPEC).shape == (28, 28, 3)
    photo = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    seen = {view(photo, SPEC).tobytes() for view in fixed_views((LEFT_RIGHT,))}
    assert len(seen) == 20
