"""Named points between two axes, as SVG: what pictures of cost have in common."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from markupsafe import Markup

from graftwork.reporting.drawing import LogScale, Scale, log_ticks, render, shortened, ticks
from graftwork.reporting.labels import Box, placed

WIDTH, HEIGHT = 548.0, 400.0
LEFT, TOP, RIGHT, BOTTOM = 62.0, 58.0, 16.0, 54.0  # px, around the axes
SMALL = 11.0  # px, font size of names
NAME_WIDTH = 200.0  # px that a name may take
LOG_FROM = 4.0  # largest over smallest value from which ratios are drawn, not differences


@dataclass(frozen=True)
class Dot:
    """One point, in the units of the axes."""

    x: float
    y: float
    name: str
    about: str  # in words, under the pointer
    colour: str = "one"  # a class of colours.css.jinja
    named: bool = True  # in the picture, too
    low: float | None = None  # interval of y
    high: float | None = None


@dataclass(frozen=True)
class Ruler:
    """One axis."""

    label: str
    shown: Callable[[float], str]
    scale: Scale
    ticks: list[float]

    @classmethod
    def over(
        cls,
        values: Sequence[float],
        label: str,
        shown: Callable[[float], str],
        pixels: tuple[float, float],
        limits: tuple[float, float] | None = None,
    ) -> Ruler:
        """An axis that shows all values with some room, by ratios where they differ by much.

        Args:
            values: at least one.
            limits: what the room must not go beyond, such as (0, 1) of a share; differences then.
        """
        low, high = min(values), max(values)
        if limits is None and low > 0 and high / low > LOG_FROM:
            room = (high / low) ** 0.07
            low, high = low / room, high * room
            return cls(label, shown, LogScale(low, high, *pixels), log_ticks(low, high))
        room = (high - low) * 0.09 or abs(high) * 0.1 or 1.0
        floor, ceiling = limits or (0.0 if low >= 0 else -float("inf"), float("inf"))
        low, high = max(floor, low - room), min(ceiling, high + room)
        return cls(label, shown, Scale(low, high, *pixels), ticks(low, high, 5))


def scatter(
    dots: Sequence[Dot],
    x: Ruler,
    y: Ruler,
    *,
    title: str,
    note: str,
    steps: Sequence[tuple[float, float]] = (),
    dashed: Sequence[tuple[float, float]] = (),
    legend: Sequence[tuple[str, str]] = (),
    height: float = HEIGHT,
) -> Markup:
    """The picture.

    Args:
        dots: drawn in this order, the last ones on top.
        x: over `horizontal()`; y: over `vertical(height)`.
        steps: corners of a solid line, in the units of the axes.
        dashed: corners of a line that is a reference.
        legend: colours, in words; a colour may be empty.
    """
    solid = [(x.scale(a), y.scale(b)) for a, b in steps]
    named = [dot for dot in dots if dot.named]
    labels = placed(
        [(x.scale(d.x), y.scale(d.y), shortened(d.name, NAME_WIDTH, SMALL)) for d in named],
        SMALL,
        Box(LEFT + 3, TOP - 6, x.scale.end, y.scale.start - 3),
        [*_covered(dots, x.scale, y.scale), *_along(solid)],
    )
    return render(
        "scatter.svg.jinja",
        width=x.scale.end + RIGHT,
        height=height,
        title=title,
        note=note,
        dots=dots,
        x=x,
        y=y,
        solid=solid,
        dashed=[(x.scale(a), y.scale(b)) for a, b in dashed],
        legend=legend,
        labels=[label for label in labels if label],
        unnamed=sum(label is None for label in labels),
    )


def horizontal(width: float = WIDTH) -> tuple[float, float]:
    """Pixels of the x axis, from its low to its high end."""
    return LEFT, width - RIGHT


def vertical(height: float = HEIGHT) -> tuple[float, float]:
    """Pixels of the y axis, from its low to its high end."""
    return height - BOTTOM, TOP


def _covered(dots: Sequence[Dot], x: Scale, y: Scale) -> list[Box]:
    """Where points and their whiskers are."""
    found = []
    for dot in dots:
        a, b = x(dot.x), y(dot.y)
        # Twice, for a name on a point hides more than one on a whisker.
        found += [Box(a - 5, b - 5, a + 5, b + 5)] * 2
        if dot.low is not None and dot.high is not None:
            found.append(Box(a - 2, y(dot.high), a + 2, y(dot.low)))
    return found


def _along(corners: Sequence[tuple[float, float]]) -> list[Box]:
    """Where a line of horizontal and vertical pieces is."""
    return [
        Box(min(a, c) - 2, min(b, d) - 2, max(a, c) + 2, max(b, d) + 2)
        for (a, b), (c, d) in zip(corners, corners[1:], strict=False)
    ]
