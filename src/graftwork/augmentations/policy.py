"""A policy of random changes, made of albumentations' transforms."""

from __future__ import annotations

import random
import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from graftwork.augmentations.base import Augmentation
from graftwork.config.errors import UserError, check_range

if TYPE_CHECKING:
    from graftwork.models.base import InputSpec


@dataclass(frozen=True)
class Policy(Augmentation):
    """Every part is off at 0. With all of them off a picture is what evaluation sees.

    A picture is cropped to the network's size first: whatever follows works on few pixels.
    """

    crop_scale: list[float] | None  # [least, most] of the picture's area; null: evaluation's view
    crop_ratio: float  # largest width / height of a crop, and its inverse the smallest; >= 1
    shift: float  # share of the side that a picture moves at most, either way; black moves in
    flip: float  # probability of mirroring left and right
    affine: float  # probability of rotating and shearing
    rotate: float  # degrees, at most, either way
    shear: float  # degrees, at most, either way
    colour: float  # probability of changing colours
    colour_range: float  # brightness, contrast, saturation change by at most this share
    hue: float  # at most this share of the colour circle
    noise: float  # probability of noise
    noise_std: float  # of full scale, at most
    erase: float  # probability of erasing one rectangle
    erase_side: float  # of the picture's side, at most

    def __post_init__(self) -> None:
        for name in ("flip", "affine", "colour", "noise", "erase"):
            check_range(name, getattr(self, name), 0, 1)
        check_range("crop_ratio", self.crop_ratio, 1)
        check_range("shift", self.shift, 0, 0.5)
        check_range("rotate", self.rotate, 0, 180)
        check_range("shear", self.shear, 0, 45)
        check_range("colour_range", self.colour_range, 0, 1)
        check_range("hue", self.hue, 0, 0.5)
        check_range("noise_std", self.noise_std, 0, 1)
        check_range("erase_side", self.erase_side, 0, 0.9)  # to albumentations 1.0 is one pixel
        if self.crop_scale is not None:
            if len(self.crop_scale) != 2 or self.crop_scale[0] > self.crop_scale[1]:
                raise UserError(
                    f"crop_scale: {self.crop_scale} is no range. Legal: [least, most], such as "
                    "[0.5, 1.0], or null."
                )
            for share in self.crop_scale:
                check_range("crop_scale", share, 0, 1, low_open=True)

    def build(self, input_spec: InputSpec, seed: int) -> SeededPolicy:
        return SeededPolicy(self, input_spec, seed)


class SeededPolicy:
    """One policy for one network, drawn from (seed, epoch, index) alone."""

    def __init__(self, policy: Policy, input_spec: InputSpec, seed: int) -> None:
        self._input_spec = input_spec
        self._seed = seed
        self._crops = policy.crop_scale is not None
        self._pipeline = strict(lambda: _compose(policy, input_spec))

    def __call__(self, image: np.ndarray, epoch: int, index: int) -> np.ndarray:
        """uint8 `[H, W, 3]` of any size to uint8 `[size, size, 3]`."""
        if not self._crops:
            from graftwork.data.images import eval_view

            image = eval_view(image, self._input_spec)
        # Philox is counter-based: every key is a stream of its own, and costs microseconds.
        generator = np.random.Generator(np.random.Philox(key=[self._seed, epoch << 40 | index]))
        self._pipeline.set_random_state(generator, random.Random(int(generator.integers(2**63))))
        return self._pipeline(image=image)["image"]


def strict(build: Any) -> Any:
    """albumentations only warns of an argument that it does not know: here that is an error."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        return build()


def _compose(policy: Policy, input_spec: InputSpec) -> Any:
    import albumentations as A
    import cv2

    cv2.setNumThreads(1)  # pictures run in parallel, not rows; OpenCV's pool and fork can hang
    steps: list[Any] = []
    if policy.crop_scale is not None:
        steps.append(
            A.RandomResizedCrop(
                size=(input_spec.size, input_spec.size),
                scale=tuple(policy.crop_scale),
                ratio=(1 / policy.crop_ratio, policy.crop_ratio),
                interpolation=_interpolation(input_spec.interpolation),
                area_for_downscale="image",  # without it small details alias
            )
        )
    if pixels := round(policy.shift * input_spec.size):
        steps += [A.Pad(padding=pixels), A.RandomCrop(input_spec.size, input_spec.size)]
    if policy.flip:
        steps.append(A.HorizontalFlip(p=policy.flip))
    if policy.affine and (policy.rotate or policy.shear):
        steps.append(
            A.Affine(
                rotate=(-policy.rotate, policy.rotate),
                shear={axis: (-policy.shear, policy.shear) for axis in ("x", "y")},
                interpolation=cv2.INTER_LINEAR,
                border_mode=cv2.BORDER_REFLECT_101,
                p=policy.affine,
            )
        )
    if policy.colour and (policy.colour_range or policy.hue):
        around_one = (1 - policy.colour_range, 1 + policy.colour_range)
        steps.append(
            A.ColorJitter(
                brightness=around_one,
                contrast=around_one,
                saturation=around_one,
                hue=(-policy.hue, policy.hue),
                p=policy.colour,
            )
        )
    return A.Compose([*steps, *_disturbances(policy)])


def _disturbances(policy: Policy) -> list[Any]:
    import albumentations as A

    steps: list[Any] = []
    if policy.noise and policy.noise_std:
        noise = A.GaussNoise(
            std_range=(0, policy.noise_std),
            noise_scale_factor=0.5,  # drawn at half the side: a quarter of the cost
            p=policy.noise,
        )
        steps.append(noise)
    if policy.erase and policy.erase_side:
        side = (policy.erase_side / 4, policy.erase_side)
        steps.append(
            A.CoarseDropout(
                num_holes_range=(1, 1),
                hole_height_range=side,
                hole_width_range=side,
                fill="random_uniform",
                p=policy.erase,
            )
        )
    return steps


def _interpolation(name: str) -> int:
    import cv2

    return cv2.INTER_CUBIC if name == "bicubic" else cv2.INTER_LINEAR
