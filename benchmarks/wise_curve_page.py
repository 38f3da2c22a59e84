"""docs/wise_curve.md: top-1 along the way from probe to trained network."""

from __future__ import annotations

import datetime
from collections.abc import Mapping, Sequence
from statistics import fmean

from benchmarks.defaults_page import machine
from benchmarks.line_chart import Spot, lines
from benchmarks.memory import line
from benchmarks.wise_curve import EXPECTED, SIZE, Point
from graftwork.reporting.charts import standalone

TITLE = "Part of the way from the probe to the trained network"


def written(found: Mapping[int, Sequence[Point]]) -> tuple[str, str]:
    """The page, and its picture.

    Args:
        found: the points of each seed, all at the same shares.
    """
    seeds = list(found.values())
    shares = [point.share for point in seeds[0]]
    kinds = list(seeds[0][0].top1)
    mean = {
        (kind, share): fmean(points[place].top1[kind] for points in seeds)
        for kind in kinds
        for place, share in enumerate(shares)
    }
    spots = [Spot(kind, share, mean[kind, share]) for kind in kinds for share in shares]
    rows = [line((f"{s:g}", *(f"{100 * mean[k, s]:.1f}" for k in kinds))) for s in shares]
    best = [f"{max(shares, key=lambda share: mean[kind, share]):g}" for kind in kinds]  # noqa: B023
    table = [line(("share", *kinds)), line(["---"] * (1 + len(kinds))), *rows]
    table.append(line(("best share", *best)))
    note = f"Groceries, lp_ft of EfficientNet-Lite0 at {SIZE} px; mean of {len(seeds)} seed(s)."
    day = datetime.date.today().isoformat()
    text = (
        f"# {TITLE}\n\nExpected, before it was run: {EXPECTED}\n\n{note} Share 0 is the converged "
        "probe, 1 the trained network; damaged photos are the test photos with noise, blur, "
        "darkness or compression. Test top-1 in %. Nothing was chosen by these numbers.\n\n"
        f"![{TITLE}](wise_curve.svg)\n\n" + "\n".join(table) + "\n\n"
        "Written by `python -m benchmarks wise_curve --seeds "
        f"{' '.join(map(str, found))}` on {day}; {machine()}.\n"
    )
    svg = lines(spots, "share of the way", TITLE, note)
    return text, standalone(svg)
