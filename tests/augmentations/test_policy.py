from __future__ import annotations

import dataclasses
import warnings
from typing import Any

import numpy as np
import pytest
from conftest import composed

from graftwork.augmentations.base import LEFT_RIGHT, UPSIDE_DOWN, Augmentation
from graftwork.augmentations.policy import Policy
from graftwork.augmentations.seeded import strict
from graftwork.config.components import build
from graftwork.config.errors import UserError
from graftwork.data.images import eval_view
from graftwork.models.base import InputSpec

SPEC = InputSpec(32, (0.5,) * 3, (0.5,) * 3, "bicubic", 0.875)
NAMES = ["none", "light", "standard", "strong", "any_way_up"]


def policy(name: str, **changes: Any) -> Policy:
    found = build(composed(f"augmentation={name}")["augmentation"], Augmentation, "augmentation")
    assert isinstance(found, Policy)
    return dataclasses.replace(found, **changes)


@pytest.fixture
def photo() -> np.ndarray:
    """Smooth, so that a small change of geometry is seen, with no symmetry."""
    y, x = np.mgrid[:240, :320]
    planes = [x * 0.75, y, (x + y) * 0.45]
    return np.stack(planes, axis=-1).astype(np.uint8)


@pytest.mark.parametrize("name", [*NAMES, "cifar"])
def test_every_policy_gives_pictures_of_the_networks_size(name: str, photo: np.ndarray) -> None:
    picture = policy(name).build(SPEC, seed=0)(photo, epoch=0, index=0)
    assert picture.shape == (32, 32, 3) and picture.dtype == np.uint8
    assert policy(name).name == name


def test_none_is_what_evaluation_sees(photo: np.ndarray) -> None:
    augment = policy("none").build(SPEC, seed=0)
    for epoch in range(3):
        np.testing.assert_array_equal(augment(photo, epoch, 5), eval_view(photo, SPEC))


@pytest.mark.parametrize("name", NAMES[1:])
def test_a_picture_follows_from_seed_epoch_and_index_alone(name: str, photo: np.ndarray) -> None:
    augment = policy(name).build(SPEC, seed=0)
    keys = [(epoch, index) for epoch in range(4) for index in range(25)]
    pictures = {key: augment(photo, *key).tobytes() for key in keys}
    assert len(set(pictures.values())) == len(keys)
    again = policy(name).build(SPEC, seed=0)
    for key in reversed(keys):  # another order, another process: the same pictures
        assert again(photo, *key).tobytes() == pictures[key]
    other = policy(name).build(SPEC, seed=1)
    assert all(other(photo, *key).tobytes() != pictures[key] for key in keys)


PARTS = {
    "flip": {"flip": 1.0},
    "upside down": {"flip_vertical": 1.0},
    "shift": {"shift": 0.25},
    "rotation": {"affine": 1.0, "rotate": 30.0},
    "shear": {"affine": 1.0, "shear": 20.0},
    "colour": {"colour": 1.0, "colour_range": 0.4},
    "hue": {"colour": 1.0, "hue": 0.2},
    "noise": {"noise": 1.0, "noise_std": 0.2},
    "erasing": {"erase": 1.0, "erase_side": 0.9},
    "crop": {"crop_scale": [0.2, 0.3]},
}


@pytest.mark.parametrize("part", PARTS)
def test_each_part_changes_the_picture(part: str, photo: np.ndarray) -> None:
    plain = eval_view(photo, SPEC)
    picture = policy("none", **PARTS[part]).build(SPEC, seed=0)(photo, 0, 0)
    assert (picture != plain).mean() > 0.02
    if part == "flip":
        np.testing.assert_array_equal(picture, plain[:, ::-1])
    if part == "upside down":
        np.testing.assert_array_equal(picture, plain[::-1])


def test_both_flips_are_half_a_turn(photo: np.ndarray) -> None:
    augment = policy("none", flip=1.0, flip_vertical=1.0).build(SPEC, seed=0)
    np.testing.assert_array_equal(augment(photo, 0, 0), eval_view(photo, SPEC)[::-1, ::-1])


def test_mirrors_are_what_the_policy_flips() -> None:
    assert policy("none").mirrors == ()
    assert policy("standard").mirrors == (LEFT_RIGHT,)
    assert policy("any_way_up").mirrors == (LEFT_RIGHT, UPSIDE_DOWN)


def test_its_steps_are_named_with_their_arguments() -> None:
    first, second, *_ = policy("standard").build(SPEC, seed=0).steps()
    assert (first.name, second.name) == ("RandomResizedCrop", "HorizontalFlip")
    assert first.arguments["scale"] == (0.35, 1.0) and first.arguments["size"] == (32, 32)
    assert second.arguments == {"p": 0.5} and not second.inner
    assert [step.name for step in policy("none").build(SPEC, 0).steps()] == ["evaluation's view"]


def test_shifts_move_whole_pixels_and_black_comes_in() -> None:
    """4 px of 32, either way and in both directions: 81 views, as CIFAR is trained with."""
    plain = np.random.default_rng(0).integers(1, 255, (32, 32, 3)).astype(np.uint8)
    augment = policy("cifar", flip=0.0).build(dataclasses.replace(SPEC, crop_pct=1.0), seed=0)
    padded = np.pad(plain, ((4, 4), (4, 4), (0, 0)))
    views = {padded[y : y + 32, x : x + 32].tobytes(): (y, x) for y in range(9) for x in range(9)}
    found = [views[augment(plain, 0, index).tobytes()] for index in range(1000)]
    assert len(set(found)) == 81
    assert found == [views[augment(plain, 0, index).tobytes()] for index in range(1000)]


def test_a_probability_is_one(photo: np.ndarray) -> None:
    augment = policy("none", flip=0.5).build(SPEC, seed=0)
    plain = eval_view(photo, SPEC)
    flipped = [not np.array_equal(augment(photo, 0, index), plain) for index in range(400)]
    assert 0.4 < np.mean(flipped) < 0.6


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"flip": 1.5}, "flip: 1.5 is out of bounds"),
        ({"crop_scale": [0.9, 0.5]}, r"crop_scale: \[0.9, 0.5\] is no range"),
        ({"crop_scale": [0.5]}, "is no range"),
        ({"crop_scale": [0.0, 1.0]}, "crop_scale: 0.0 is out of bounds"),
        ({"crop_ratio": 0.5}, "crop_ratio: 0.5 is out of bounds"),
        ({"rotate": -3.0}, "rotate"),
        ({"hue": 0.9}, "hue"),
        ({"shift": 0.6}, "shift: 0.6"),
        ({"erase_side": 1.0}, "erase_side"),
    ],
)
def test_bounds(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=message):
        policy("strong", **changes)


def test_an_argument_that_albumentations_does_not_know_is_an_error() -> None:
    import albumentations as A

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # as it would be in a user's process
        with pytest.raises(UserWarning, match="prob"):
            strict(lambda: A.HorizontalFlip(prob=0.5))
