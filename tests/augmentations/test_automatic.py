"""RandAugment, TrivialAugment and AugMix: pictures that follow from (seed, epoch, index) alone."""

from __future__ import annotations

import dataclasses
import random
from typing import Any

import numpy as np
import pytest
from conftest import composed

from graftwork.augmentations.automatic import Automatic, drawn_operation
from graftwork.augmentations.base import LEFT_RIGHT, Augmentation
from graftwork.augmentations.seeded import generator
from graftwork.augmentations.spaces import LEVELS, augmix_space
from graftwork.config.components import build
from graftwork.config.errors import UserError
from graftwork.models.base import InputSpec

SPEC = InputSpec(32, (0.5,) * 3, (0.5,) * 3, "bicubic", 0.875)
NAMES = ["rand_augment", "trivial_augment", "augmix"]


def chosen(name: str, **changes: Any) -> Automatic:
    found = build(composed(f"augmentation={name}")["augmentation"], Augmentation, "augmentation")
    assert isinstance(found, Automatic)
    return dataclasses.replace(found, **changes)


@pytest.fixture
def photo() -> np.ndarray:
    y, x = np.mgrid[:60, :80]
    return np.stack([x * 3, y * 4, (x + y) * 1.5], axis=-1).astype(np.uint8)


@pytest.mark.parametrize("name", NAMES)
def test_a_picture_follows_from_seed_epoch_and_index_alone(name: str, photo: np.ndarray) -> None:
    everybodys = random.getstate(), np.random.get_state()[1].tolist()
    augment = chosen(name).build(SPEC, seed=0)
    keys = [(epoch, index) for epoch in range(3) for index in range(20)]
    pictures = {key: augment(photo, *key) for key in keys}
    assert all(p.shape == (32, 32, 3) and p.dtype == np.uint8 for p in pictures.values())
    assert len({picture.tobytes() for picture in pictures.values()}) == len(keys)
    again = chosen(name).build(SPEC, seed=0)
    for key in reversed(keys):  # another order, another process: the same pictures
        assert np.array_equal(again(photo, *key), pictures[key])
    other = chosen(name).build(SPEC, seed=1)
    assert not any(np.array_equal(other(photo, *key), pictures[key]) for key in keys)
    assert everybodys == (random.getstate(), np.random.get_state()[1].tolist())


@pytest.mark.parametrize("name", NAMES)
def test_what_comes_before_is_the_policy_itself(name: str, photo: np.ndarray) -> None:
    """The same draws as augmentation=light; then numbers of another stream."""
    settings = chosen(name)
    augment = settings.build(SPEC, seed=5)
    first = settings.before.build(SPEC, seed=5)(photo, 2, 3)
    space = settings.space(SPEC.size)
    expected = settings.changed(first, space, generator(5, 2, 3, stream=1))
    assert np.array_equal(augment(photo, 2, 3), expected)
    assert generator(5, 2, 3).random() != generator(5, 2, 3, stream=1).random()


def test_rand_augment_uses_one_magnitude_and_trivial_augment_every_one(
    photo: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    import graftwork.augmentations.rand_augment as rand
    import graftwork.augmentations.trivial_augment as trivial

    seen: list[tuple[str, float]] = []

    def watched(picture: Any, operation: Any, share: float, *rest: Any) -> Any:
        seen.append((operation.name, round(share * (LEVELS - 1), 6)))
        return drawn_operation(picture, operation, share, *rest)

    for module in (rand, trivial):
        monkeypatch.setattr(module, "drawn_operation", watched)
    augment = chosen("rand_augment", operations=3, magnitude=12).build(SPEC, 0)
    for index in range(60):
        augment(photo, 0, index)
    assert len(seen) == 180 and {level for _, level in seen} == {12}
    assert len({name for name, _ in seen}) == 14
    seen.clear()
    augment = chosen("trivial_augment").build(SPEC, 0)
    for index in range(300):
        augment(photo, 0, index)
    assert len(seen) == 300 and {level for _, level in seen} == set(range(LEVELS))


def test_augmix_mixes_by_its_weights() -> None:
    """By hand: the same draws, the formula of the paper."""
    picture = np.random.default_rng(0).integers(0, 256, (32, 32, 3), dtype=np.uint8)
    settings = chosen("augmix", severity=7, width=2, depth=1)
    found = settings.changed(picture, augmix_space(32), generator(0, 0, 0))
    numbers = generator(0, 0, 0)
    weights, share = numbers.dirichlet([1.0, 1.0]), numbers.beta(1.0, 1.0)
    assert weights.sum() == pytest.approx(1)
    chains = []
    for _ in range(2):
        assert numbers.integers(1, 2) == 1
        operation = augmix_space(32)[numbers.integers(9)]
        level = numbers.uniform(0.1, 7)
        chains.append(drawn_operation(picture, operation, level / 10, numbers, 0).astype(float))
    mixed = weights[0] * chains[0] + weights[1] * chains[1]
    assert np.array_equal(found, np.rint((1 - share) * picture + share * mixed).astype(np.uint8))


def test_another_policy_can_come_before() -> None:
    choice = ("augmentation=augmix", "augmentation@augmentation.before=strong")
    found = build(composed(*choice)["augmentation"], Augmentation, "augmentation")
    assert isinstance(found, Automatic) and found.before.name == "strong"


def test_mirrors_are_those_of_the_policy_before() -> None:
    assert chosen("augmix").mirrors == (LEFT_RIGHT,)
    unmirrored = dataclasses.replace(chosen("augmix").before, flip=0.0)
    assert chosen("augmix", before=unmirrored).mirrors == ()


def test_its_steps_name_every_operation() -> None:
    *before, last = chosen("trivial_augment").build(SPEC, 0).steps()
    assert [step.name for step in before] == ["RandomResizedCrop", "HorizontalFlip"]
    assert last.name == "TrivialAugment" and last.arguments["ranges"] == "wide"
    rotate = next(step for step in last.inner if step.name == "rotate")
    assert rotate.arguments == {"from": 0, "to": 135, "either way": True} and len(last.inner) == 14


@pytest.mark.parametrize(
    ("name", "changes", "message"),
    [
        ("rand_augment", {"magnitude": 31}, "magnitude: 31 is out of bounds"),
        ("rand_augment", {"operations": 0}, "operations: 0 is out of bounds"),
        ("trivial_augment", {"ranges": "wid"}, "Did you mean 'wide'"),
        ("augmix", {"severity": 11}, "severity: 11 is out of bounds"),
        ("augmix", {"alpha": 0.0}, "alpha: 0.0 is out of bounds"),
        ("augmix", {"fill": 256}, "fill: 256 is out of bounds"),
    ],
)
def test_bounds(name: str, changes: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=message):
        chosen(name, **changes)
