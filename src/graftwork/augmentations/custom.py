"""Any list of albumentations' transforms, named in YAML."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from graftwork.augmentations.base import LEFT_RIGHT, UPSIDE_DOWN, Augmentation, Step
from graftwork.augmentations.named import SIDE, arguments_of, check_names, made, tried
from graftwork.augmentations.seeded import SeededPipeline, one_thread_each

if TYPE_CHECKING:
    from graftwork.models.base import InputSpec

TRIED_SIDE = 320  # px, of the picture that transforms are tried on
# Transforms of albumentations that mirror, and how.
MIRRORING = {
    "HorizontalFlip": (LEFT_RIGHT,),
    "VerticalFlip": (UPSIDE_DOWN,),
    "D4": (LEFT_RIGHT, UPSIDE_DOWN),
    "SquareSymmetry": (LEFT_RIGHT, UPSIDE_DOWN),
}


@dataclass(frozen=True)
class Custom(Augmentation):
    """Transforms in the order of the list.

    An entry is a name, or a name with its arguments: `HorizontalFlip`, `{Rotate: {limit: 10}}`.
    OneOf, SomeOf, RandomOrder and Sequential take lists of entries as `transforms`. The word
    `side` stands for the network's side in px. A picture that then is not of the network's size is
    cut to its centre square and resized.
    """

    whole: bool  # they see the whole picture, for those that crop; false: what evaluation sees
    transforms: list[Any]

    def __post_init__(self) -> None:
        for place, entry in enumerate(self.transforms):
            check_names(entry, f"transforms[{place}]")

    def check(self) -> None:
        """Arguments and values are checked by the library, and every transform is tried."""
        for place, entry in enumerate(self.transforms):
            tried(entry, f"augmentation.transforms[{place}]", TRIED_SIDE)

    @property
    def mirrors(self) -> tuple[str, ...]:
        used = {way for name in _names(self.transforms) for way in MIRRORING.get(name, ())}
        return tuple(way for way in (LEFT_RIGHT, UPSIDE_DOWN) if way in used)

    def build(self, input_spec: InputSpec, seed: int) -> SizedPipeline:
        import albumentations as A

        one_thread_each()
        steps = [made(entry, "transforms", input_spec.size) for entry in self.transforms]
        pipeline = SeededPipeline(A.Compose(steps), input_spec, seed, whole=self.whole)
        return SizedPipeline(pipeline, input_spec)


class SizedPipeline:
    """A pipeline whose pictures are brought to the network's size where they are not."""

    def __init__(self, pipeline: SeededPipeline, input_spec: InputSpec) -> None:
        self._pipeline, self._square = pipeline, replace(input_spec, crop_pct=1.0)

    def __call__(self, image: np.ndarray, epoch: int, index: int) -> np.ndarray:
        """uint8 `[H, W, 3]` of any size to uint8 `[size, size, 3]`."""
        from graftwork.data.images import eval_view

        return eval_view(self._pipeline(image, epoch, index), self._square)

    def steps(self) -> list[Step]:
        last = Step("centre square, resized", {SIDE: self._square.size}, [])
        return [*self._pipeline.steps(), last]


def _names(entries: list[Any]) -> Iterator[str]:
    """Of all transforms that can have an effect, at any depth."""
    for entry in entries:
        name, arguments = arguments_of(entry, "transforms")
        if arguments.get("p") != 0:
            yield name
            yield from _names(arguments.get("transforms", []))
