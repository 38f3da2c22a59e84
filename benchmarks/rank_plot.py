"""Latency against multiply-accumulates, all networks named: docs/macs_latency.svg."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from pathlib import Path

from markupsafe import Markup

from benchmarks.rank import THREADS, Measured, correlation, displaced
from graftwork.reporting.charts import standalone
from graftwork.reporting.scatter import Dot, Ruler, scatter

SIZE = (720, 450)  # px


def drawn(rows: Sequence[Measured]) -> Markup:
    """The picture, both axes by ratios. Networks out of rank are coloured."""
    moved = displaced(rows)
    macs, latency = [float(row.macs) for row in rows], [row.latency for row in rows]
    rate = statistics.median(row.macs / row.latency for row in rows)  # MAC/ms
    low, high = max(min(macs), min(latency) * rate), min(max(macs), max(latency) * rate)
    note = f"{len(rows)} networks, batch 1, fp32, {THREADS} threads. Spearman’s rho "
    return scatter(
        [_dot(row, moved.get(row.name, 0)) for row in rows],
        Ruler("multiply-accumulates of one image", "~s"),
        Ruler("latency of one image, ms", ",.3~r"),
        title="Do multiply-accumulates rank latency?",
        note=f"{note}{correlation(macs, latency)}; dashed: the median rate",
        legend={"bad": "slower than its MACs rank it", "two": "faster"},
        dashed=[(low, low / rate), (high, high / rate)],
        size=SIZE,
    )


def _dot(row: Measured, moved: int) -> Dot:
    colour = "bad" if moved > 0 else "two" if moved < 0 else "one"
    rate = row.macs / row.latency / 1e6  # GMAC/s
    about = f"{row.name}, {row.size} px: {row.macs / 1e6:,.0f} M MAC, {row.latency:.2f} ms"
    return Dot(row.macs, row.latency, row.name, f"{about}, {rate:.1f} GMAC/s", colour)


def write(rows: Sequence[Measured], folder: Path) -> Path:
    """Writes macs_latency.svg."""
    path = folder / "macs_latency.svg"
    path.write_text(standalone(drawn(rows)), encoding="utf-8")
    return path
