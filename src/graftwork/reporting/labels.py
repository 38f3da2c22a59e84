"""Names in a picture, beside their points and not on top of one another."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from graftwork.reporting.drawing import text_width

RADII = (6, 9, 14, 20, 30, 42, 56, 74, 96, 120)  # px between a point and its name
# Degrees, best first: above and to the left of a frontier there are no other points.
DIRECTIONS = (-135, -160, 180, -110, -45, -20, 0, 45, 135, -90, 90, -70, 160, 20, 110, 70)
ADJACENT = 11  # px: farther names get a line to their point


@dataclass(frozen=True)
class Box:
    """A rectangle in px; y grows downwards."""

    left: float
    top: float
    right: float
    bottom: float

    def shared(self, other: Box) -> float:
        """The area that both cover, px²."""
        width = min(self.right, other.right) - max(self.left, other.left)
        height = min(self.bottom, other.bottom) - max(self.top, other.top)
        return max(width, 0.0) * max(height, 0.0)

    def holds(self, other: Box) -> bool:
        return (
            self.left <= other.left
            and self.top <= other.top
            and self.right >= other.right
            and self.bottom >= other.bottom
        )


@dataclass(frozen=True)
class Label:
    """A name that has found its place."""

    text: str
    x: float  # px, of its end that is nearest to the point
    anchor: str  # which end that is, as a class of colours.css.jinja: "", mid or end
    y: float  # px, its baseline
    box: Box
    line: tuple[float, float, float, float] | None  # px, from the point to a name far from it


def placed(
    points: Sequence[tuple[float, float, str]],
    size: float,
    frame: Box,
    avoided: Sequence[Box],
) -> list[Label | None]:
    """A place for each name: within the frame, on no other name, and on little else.

    Greedy, the most crowded point first: each name takes the nearest of a hundred places that is
    free of names, preferring what covers least of `avoided`.

    Args:
        points: x and y in px, and the name.
        size: of the text, px.
        frame: where names may stand.
        avoided: points, whiskers and lines, that names should not cover.

    Returns:
        In the order of `points`; None where there is no room.
    """
    taken: list[Box] = []
    found: dict[int, Label | None] = {}
    for index in sorted(range(len(points)), key=lambda i: -_crowd(points, i)):
        x, y, text = points[index]
        free = [
            (_disturbance(box, avoided) + 40 * effort, effort, box)
            for effort, box in _places(x, y, text_width(text, size) + 4, size + 3)
            if frame.holds(box) and not any(box.shared(other) for other in taken)
        ]
        if not free:
            found[index] = None
            continue
        box = min(free, key=lambda place: place[:2])[2]
        taken.append(box)
        found[index] = _label(text, size, box, x, y)
    return [found[index] for index in range(len(points))]


def _label(text: str, size: float, box: Box, x: float, y: float) -> Label:
    """Widths are guessed too large: the text keeps to the side where its point is."""
    middle = (box.left + box.right) / 2
    start, anchor = (
        (box.left + 2, "") if box.left >= x else (box.right - 2, "end") if box.right <= x
        else (middle, "mid")
    )  # fmt: skip
    return Label(text, start, anchor, box.bottom - 0.28 * size, box, _line(x, y, box))


def _crowd(points: Sequence[tuple[float, float, str]], index: int) -> int:
    x, y, _ = points[index]
    return sum(abs(a - x) < 90 and abs(b - y) < 30 for a, b, _ in points)


def _places(x: float, y: float, width: float, height: float) -> Iterator[tuple[float, Box]]:
    """Boxes around a point with the effort of reading them: the distance, and the direction."""
    for radius in RADII:
        for rank, degrees in enumerate(DIRECTIONS):
            cos, sin = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
            left = x + cos * radius - width * _share(cos)
            top = y + sin * radius - height * _share(sin)
            yield radius / 6 + rank / 8, Box(left, top, left + width, top + height)


def _share(direction: float) -> float:
    """How much of a name lies before the spot where it comes nearest to its point."""
    return 0.0 if direction > 0.3 else 1.0 if direction < -0.3 else 0.5


def _disturbance(box: Box, avoided: Sequence[Box]) -> float:
    return sum(box.shared(other) for other in avoided)


def _line(x: float, y: float, box: Box) -> tuple[float, float, float, float] | None:
    a, b = min(max(x, box.left), box.right), min(max(y, box.top), box.bottom)
    distance = math.hypot(a - x, b - y)
    if distance <= ADJACENT:
        return None
    start = 5 / distance  # begins outside the point
    return (x + (a - x) * start, y + (b - y) * start, a, b)
