"""augmentation=custom: what YAML names is checked against the library before anything is spent."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from graftwork.augmentations.base import LEFT_RIGHT, UPSIDE_DOWN
from graftwork.augmentations.custom import Custom
from graftwork.config.errors import UserError
from graftwork.data.images import eval_view
from graftwork.models.base import InputSpec

SPEC = InputSpec(32, (0.5,) * 3, (0.5,) * 3, "bicubic", 0.875)


def custom(*transforms: Any, whole: bool = False) -> Custom:
    return Custom(name="custom", whole=whole, transforms=list(transforms))


@pytest.fixture
def photo() -> np.ndarray:
    y, x = np.mgrid[:60, :80]
    return np.stack([x * 3, y * 4, (x + y) * 1.5], axis=-1).astype(np.uint8)


def test_transforms_are_applied_in_order(photo: np.ndarray) -> None:
    import albumentations as A

    settings = custom({"HorizontalFlip": {"p": 1}}, {"InvertImg": {"p": 1.0}})
    view = eval_view(photo, SPEC)
    expected = A.InvertImg(p=1)(image=A.HorizontalFlip(p=1)(image=view)["image"])["image"]
    assert np.array_equal(settings.build(SPEC, 0)(photo, 0, 0), expected)


def test_side_is_the_networks_and_the_whole_picture_is_seen_where_wanted(photo: np.ndarray) -> None:
    crop = {"RandomCrop": {"height": "side", "width": "side"}}
    augment = custom(crop, whole=True).build(SPEC, 0)
    crops = {photo[y : y + 32, x : x + 32].tobytes() for y in range(29) for x in range(49)}
    found = {augment(photo, 0, index).tobytes() for index in range(30)}
    assert found <= crops and len(found) > 25


def test_another_size_becomes_the_centre_square(photo: np.ndarray) -> None:
    augment = custom({"CenterCrop": {"height": 50, "width": 20}}, whole=True).build(SPEC, 0)
    found = augment(photo, 0, 0)
    square = InputSpec(32, SPEC.mean, SPEC.std, "bicubic", 1.0)
    assert np.array_equal(found, eval_view(photo[5:55, 30:50], square))
    assert augment.steps()[-1].arguments == {"side": 32}


NESTED = {
    "OneOf": {
        "p": 1.0,
        "transforms": [
            {"Sequential": {"p": 1.0, "transforms": [{"Rotate": {"limit": 30}}, "GaussNoise"]}},
            {"SomeOf": {"n": 2, "transforms": ["ColorJitter", "VerticalFlip", "GaussianBlur"]}},
        ],
    }
}


def test_nested_choices_follow_from_seed_epoch_and_index(photo: np.ndarray) -> None:
    augment = custom(NESTED).build(SPEC, 0)
    keys = [(epoch, index) for epoch in range(3) for index in range(8)]
    pictures = {key: augment(photo, *key).tobytes() for key in keys}
    assert len(set(pictures.values())) > 12
    again = custom(NESTED).build(SPEC, 0)
    assert all(again(photo, *key).tobytes() == pictures[key] for key in reversed(keys))
    (view, choice, _) = augment.steps()
    assert (view.name, choice.name) == ("evaluation's view", "OneOf")
    assert [step.name for step in choice.inner] == ["Sequential", "SomeOf"]
    assert choice.inner[0].inner[0].arguments["limit"] == (-30.0, 30.0)


def test_mirrors_are_found_at_any_depth() -> None:
    assert custom("GaussNoise").mirrors == ()
    assert custom({"HorizontalFlip": {"p": 0}}).mirrors == ()
    assert custom({"OneOf": {"transforms": ["HorizontalFlip", "GaussNoise"]}}).mirrors == (
        LEFT_RIGHT,
    )
    assert custom(NESTED).mirrors == (UPSIDE_DOWN,)
    assert custom("D4").mirrors == (LEFT_RIGHT, UPSIDE_DOWN)


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ("HorizntalFlip", r"transforms\[0\]: 'HorizntalFlip' is unknown. Did you mean 'Horiz"),
        ("DualTransform", "'DualTransform' is unknown"),
        ("Lambda", "'Lambda' is unknown"),
        ({"Rotate": {"limt": 3}}, r"Rotate.limt: 'limt' is unknown. Did you mean 'limit'\?"),
        ({"Rotate": {"p": 3}}, r"Rotate: p: Input should be less than or equal to 1\.$"),
        ({"RandomCrop": {"height": "side"}}, "RandomCrop: width: Field required"),
        ({"Rotate": 3}, "is no transform. Legal: a name"),
        ({"OneOf": {"p": 1}}, r"OneOf.transforms: a list of transforms, got None"),
        ({"OneOf": {"transforms": ["Rotate", "Rot"]}}, r"OneOf.transforms\[1\]: 'Rot' is unknown"),
        ({"OneOf": {"transforms": ["Rotate"], "prob": 1}}, "OneOf.prob: 'prob' is unknown"),
        ("ToFloat", "gives float32"),
        ("ConstrainedCoarseDropout", "cannot be applied to a picture alone: Neither valid mask"),
        ("MaskDropout", "cannot be applied to a picture alone"),
        ({"RandomCrop": {"height": 9000, "width": 9000}}, "cannot be applied"),
    ],
)
def test_mistakes_are_told(entry: Any, message: str) -> None:
    with pytest.raises(UserError, match=message):
        custom(entry).check()


def test_a_transform_that_draws_numbers_of_its_own_is_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    import albumentations as A

    def with_own_numbers(self: Any, img: np.ndarray, **params: Any) -> np.ndarray:
        return np.random.default_rng().integers(0, 256, img.shape, dtype=np.uint8)

    monkeypatch.setattr(A.InvertImg, "apply", with_own_numbers)
    with pytest.raises(UserError, match="InvertImg: draws numbers of its own"):
        custom("InvertImg").check()
