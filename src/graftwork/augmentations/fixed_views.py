"""Several looks at a picture at test time: the same ones for every picture, nothing drawn.

As AlexNet was tested (Krizhevsky et al. 2012): corners and centre, and their mirror images. Places
come in this order, each in every allowed mirroring before the next:

| places | crop, of the side that evaluation sees | where in the picture |
|---|---|---|
| 1 | 1 | centre: what evaluation sees |
| 2 to 5 | 7/8 | its four corners |
| 6 | 3/4 | centre |
| 7 to 10 | 3/4 | its four corners |

So 2 views are the centre and its mirror image, 10 are AlexNet's, and without mirroring 5 are centre
and corners.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from graftwork.augmentations.base import LEFT_RIGHT, UPSIDE_DOWN

if TYPE_CHECKING:
    from graftwork.models.base import InputSpec

CENTRE = (0.5, 0.5)
CORNERS = ((0.0, 0.0), (0.0, 1.0), (1.0, 0.0), (1.0, 1.0))
PLACES = (
    (1.0, CENTRE),
    *((7 / 8, corner) for corner in CORNERS),
    (3 / 4, CENTRE),
    *((3 / 4, corner) for corner in CORNERS),
)


@dataclass(frozen=True)
class FixedView:
    """One look at a picture."""

    share: float  # of the side that evaluation sees
    place: tuple[float, float]  # down, across: 0 is the first edge of the picture, 1 the last
    mirrored: tuple[str, ...]

    def __call__(self, image: np.ndarray, input_spec: InputSpec) -> np.ndarray:
        """uint8 `[height, width, 3]` to uint8 `[size, size, 3]`."""
        from graftwork.data.images import eval_view

        if self.share == 1 and self.place == CENTRE:
            view = eval_view(image, input_spec)
        else:
            view = self._cut(image, input_spec)
        view = view[:, ::-1] if LEFT_RIGHT in self.mirrored else view
        view = view[::-1] if UPSIDE_DOWN in self.mirrored else view
        return np.ascontiguousarray(view)

    def _cut(self, image: np.ndarray, input_spec: InputSpec) -> np.ndarray:
        from graftwork.data.images.resizing import resize

        height, width = image.shape[:2]
        side = min(height, width)
        crop = min(max(round(side * input_spec.crop_pct * self.share), 1), side)
        down, across = self.place
        top, left = int(down * (height - crop)), int(across * (width - crop))
        square = image[top : top + crop, left : left + crop]
        return resize(square, input_spec.size, input_spec.size, input_spec.interpolation)


def fixed_views(mirrors: Sequence[str]) -> list[FixedView]:
    """Every view that there is; the first is what evaluation sees.

    Args:
        mirrors: ways in which a picture may be mirrored (`Augmentation.mirrors`).
    """
    ways: list[tuple[str, ...]] = [()]
    for mirror in mirrors:
        ways += [(*way, mirror) for way in ways]
    return [FixedView(share, place, way) for share, place in PLACES for way in ways]
