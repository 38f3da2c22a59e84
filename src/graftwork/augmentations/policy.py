"""A policy of random changes, made of albumentations' transforms."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from graftwork.augmentations.base import LEFT_RIGHT, UPSIDE_DOWN, Augmentation
from graftwork.augmentations.seeded import SeededPipeline, one_thread_each, strict
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
    flip_vertical: float  # probability of mirroring upside down; with both, also half a turn
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
        for name in ("flip", "flip_vertical", "affine", "colour", "noise", "erase"):
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

    @property
    def mirrors(self) -> tuple[str, ...]:
        ways = ((LEFT_RIGHT, self.flip), (UPSIDE_DOWN, self.flip_vertical))
        return tuple(way for way, probability in ways if probability)

    @property
    def is_still(self) -> bool:
        moves = (self.shift, self.flip, self.flip_vertical, self.affine)
        return self.crop_scale is None and not any((*moves, self.colour, self.noise, self.erase))

    def build(self, input_spec: InputSpec, seed: int) -> SeededPipeline:
        pipeline = strict(lambda: _compose(self, input_spec))
        return SeededPipeline(pipeline, input_spec, seed, whole=self.crop_scale is not None)


def _compose(policy: Policy, input_spec: InputSpec) -> Any:
    import albumentations as A
    import cv2

    one_thread_each()
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
    if policy.flip_vertical:
        steps.append(A.VerticalFlip(p=policy.flip_vertical))
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
