"""Operations and their magnitudes, held against torchvision's and against the papers."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from PIL import Image

from graftwork.augmentations.operations import APPLIED, Operation, apply
from graftwork.augmentations.spaces import LEVELS, augmix_space, space

SIDE = 24


@pytest.fixture(scope="module")
def picture() -> Image.Image:
    y, x = np.mgrid[:SIDE, :SIDE]
    smooth = np.stack([x * 9 + 20, y * 8 + 10, (x + y) * 4 + 30], axis=-1)
    noise = np.random.default_rng(0).integers(-10, 11, smooth.shape)
    return Image.fromarray((smooth + noise).astype(np.uint8))


def every_picture(operations: list[Operation], levels: list[int], picture: Any) -> np.ndarray:
    """All that these operations can give: int16 `[n, SIDE, SIDE, 3]`."""
    found = []
    for operation in operations:
        for level in levels:
            magnitude = operation.magnitude(level / (LEVELS - 1))
            signs = (1, -1) if operation.signed else (1,)
            found += [apply(operation.name, picture, sign * magnitude, 0) for sign in signs]
    return np.stack([np.asarray(each, np.int16) for each in found])


@pytest.mark.parametrize(("name", "ranges"), [("trivial", "wide"), ("rand", "standard")])
def test_what_torchvision_draws_is_among_what_can_be_drawn_here(
    name: str, ranges: str, picture: Image.Image
) -> None:
    """Its pictures, of draws of its own, to within a grey level that rounding may move."""
    import torch

    from graftwork.process.vision import torchvision

    module = torchvision.transforms
    bilinear = module.InterpolationMode.BILINEAR
    levels = list(range(LEVELS)) if name == "trivial" else [9]
    theirs = (
        module.TrivialAugmentWide(interpolation=bilinear)
        if name == "trivial"
        else module.RandAugment(1, 9, interpolation=bilinear)
    )
    ours = every_picture(space(ranges, SIDE), levels, picture)
    hits = set()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        for _ in range(80):
            drawn = np.asarray(theirs(picture), np.int16)
            off = np.abs(ours - drawn).max(axis=(1, 2, 3))
            assert off.min() <= 1
            hits.add(int(off.argmin()))
    assert len(hits) > 15  # draws differ


def test_the_papers_numbers() -> None:
    wide = {operation.name: operation for operation in space("wide", SIDE)}
    assert len(wide) == len(space("standard", SIDE)) == 14
    assert [wide["posterize"].magnitude(level / 30) for level in (0, 3, 15, 30)] == [8, 7, 5, 2]
    assert wide["rotate"].magnitude(1) == 135 and wide["translate_x"].magnitude(1) == 32
    assert wide["solarize"].magnitude(0) == 255 and wide["solarize"].magnitude(1) == 0
    assert wide["color"].magnitude(1) == 0.99 and wide["shear_y"].magnitude(1) == 0.99
    # AugMix, of its authors' code: int(level * 30 / 10), 4 - int(level * 4 / 10),
    # 256 - int(level * 256 / 10), level * 0.3 / 10, int(level * side / 3 / 10).
    mix = {operation.name: operation for operation in augmix_space(96)}
    found = {name: mix[name].magnitude(0.29) for name in mix}
    assert found["rotate"] == 8 and found["posterize"] == 3 and found["solarize"] == 182
    assert found["shear_x"] == pytest.approx(0.087) and found["translate_y"] == 9
    assert len(mix) == 9 and mix["posterize"].magnitude(1) == 0


def test_every_operation_leaves_the_original_alone_and_changes_a_copy(picture: Image.Image) -> None:
    before = np.asarray(picture).copy()
    for name in APPLIED:
        magnitude = {"posterize": 2, "solarize": 100}.get(name, 0.5)
        after = apply(name, picture, 7 if "translate" in name else magnitude, fill=200)
        assert after.size == picture.size and after.mode == "RGB"
        assert np.array_equal(np.asarray(picture), before)
        if name not in ("identity", "rotate"):
            assert not np.array_equal(np.asarray(after), before), name


def test_what_moves_in_is_filled(picture: Image.Image) -> None:
    moved = np.asarray(apply("translate_x", picture, 7, fill=200))
    assert (moved[:, :7] == 200).all()
    assert np.array_equal(moved[:, 7:], np.asarray(picture)[:, :-7])
