"""The operations of automatic augmentation, each at a given magnitude: Pillow's own.

The papers' codes are made of Pillow, so that a magnitude means here what it means there. Nothing
here is random.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from PIL.Image import Image

Whole = Callable[[float], int]  # round, or int (towards zero)


@dataclass(frozen=True)
class Operation:
    """One operation, from the weakest magnitude to the strongest."""

    name: str  # of APPLIED
    weakest: float
    strongest: float
    signed: bool  # either way, by the toss of a coin
    whole: Whole | None  # what makes the distance from the weakest a whole number

    def magnitude(self, share: float) -> float:
        """At a share of the way from the weakest, in [0, 1]."""
        distance = share * (self.strongest - self.weakest)
        return self.weakest + (self.whole(distance) if self.whole else distance)


def apply(name: str, picture: Image, magnitude: float, fill: int) -> Image:
    """The picture after an operation.

    Args:
        name: of APPLIED.
        magnitude: degrees (rotate), px (translate), px a px (shear), bits that are kept
            (posterize), the value from which on values are inverted (solarize), or what is added to
            a factor of 1 (brightness, color, contrast, sharpness); elsewhere without meaning.
        fill: grey value, 0 to 255, of what moves in.
    """
    return APPLIED[name](picture, magnitude, fill)


def _sheared(picture: Image, fill: int, *inverse: float) -> Image:
    """By the affine map that says of each new place where it was."""
    from PIL.Image import Resampling, Transform

    return picture.transform(
        picture.size, Transform.AFFINE, inverse, Resampling.BILINEAR, fillcolor=(fill,) * 3
    )


def _shifted(picture: Image, fill: int, right: float, down: float) -> Image:
    """By whole px, between which nothing has to be interpolated."""
    from PIL.Image import Transform

    inverse = (1, 0, -right, 0, 1, -down)
    return picture.transform(picture.size, Transform.AFFINE, inverse, fillcolor=(fill,) * 3)


def _rotate(picture: Image, degrees: float, fill: int) -> Image:
    from PIL.Image import Resampling

    return picture.rotate(degrees, Resampling.BILINEAR, fillcolor=(fill,) * 3)


def _enhanced(kind: str) -> Callable[[Image, float, int], Image]:
    def enhance(picture: Image, change: float, fill: int) -> Image:
        from PIL import ImageEnhance

        return getattr(ImageEnhance, kind)(picture).enhance(1 + change)

    return enhance


def _posterize(picture: Image, bits: float, fill: int) -> Image:
    from PIL import ImageOps

    return ImageOps.posterize(picture, int(bits))


def _solarize(picture: Image, threshold: float, fill: int) -> Image:
    from PIL import ImageOps

    return ImageOps.solarize(picture, threshold)  # type: ignore[arg-type]


def _autocontrast(picture: Image, magnitude: float, fill: int) -> Image:
    from PIL import ImageOps

    return ImageOps.autocontrast(picture)


def _equalize(picture: Image, magnitude: float, fill: int) -> Image:
    from PIL import ImageOps

    return ImageOps.equalize(picture)


APPLIED: dict[str, Callable[[Image, float, int], Image]] = {
    "identity": lambda picture, magnitude, fill: picture,
    "autocontrast": _autocontrast,
    "equalize": _equalize,
    "posterize": _posterize,
    "solarize": _solarize,
    "rotate": _rotate,
    "shear_x": lambda picture, by, fill: _sheared(picture, fill, 1, by, 0, 0, 1, 0),
    "shear_y": lambda picture, by, fill: _sheared(picture, fill, 1, 0, 0, by, 1, 0),
    "translate_x": lambda picture, px, fill: _shifted(picture, fill, px, 0),
    "translate_y": lambda picture, px, fill: _shifted(picture, fill, 0, px),
    "brightness": _enhanced("Brightness"),
    "color": _enhanced("Color"),
    "contrast": _enhanced("Contrast"),
    "sharpness": _enhanced("Sharpness"),
}
