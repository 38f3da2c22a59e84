"""Latency against multiply-accumulates, all networks named: docs/macs_latency.svg."""

from __future__ import annotations

import shutil
import statistics
import subprocess
from collections.abc import Sequence
from pathlib import Path

from markupsafe import Markup

from benchmarks.rank import THREADS, Measured, correlation, displaced
from graftwork.reporting.drawing import compact, number, standalone
from graftwork.reporting.scatter import Dot, Ruler, horizontal, scatter, vertical

WIDTH, HEIGHT = 800.0, 560.0
BROWSERS = ("chromium", "chromium-browser", "google-chrome", "chrome")


def drawn(rows: Sequence[Measured]) -> Markup:
    """The picture, both axes by ratios. Networks out of rank are coloured."""
    moved = displaced(rows)
    macs, latency = [float(row.macs) for row in rows], [row.latency for row in rows]
    x = Ruler.over(macs, "multiply-accumulates of one image", compact, horizontal(WIDTH))
    y = Ruler.over(latency, "latency of one image, ms", number, vertical(HEIGHT))
    rate = statistics.median(row.macs / row.latency for row in rows)  # MAC/ms
    low, high = max(x.scale.low, y.scale.low * rate), min(x.scale.high, y.scale.high * rate)
    return scatter(
        [_dot(row, moved.get(row.name, 0)) for row in rows],
        x,
        y,
        title="Do multiply-accumulates rank latency?",
        note=(
            f"{len(rows)} networks, batch 1, fp32, {THREADS} threads. Spearman’s rho "
            f"{correlation(macs, latency)}"
        ),
        legend=[("bad", "slower than its MACs rank it"), ("two", "faster"), ("", "┄ median rate")],
        dashed=[(low, low / rate), (high, high / rate)],
        height=HEIGHT,
    )


def _dot(row: Measured, moved: int) -> Dot:
    colour = "bad" if moved > 0 else "two" if moved < 0 else "one"
    rate = row.macs / row.latency / 1e6  # GMAC/s
    about = f"{row.name}, {row.size} px: {row.macs / 1e6:,.0f} M MAC, {row.latency:.2f} ms"
    return Dot(row.macs, row.latency, row.name, f"{about}, {rate:.1f} GMAC/s", colour)


def write(rows: Sequence[Measured], folder: Path) -> list[Path]:
    """Writes macs_latency.svg, and the same as PNG where a Chromium is installed to draw it."""
    svg, png = folder / "macs_latency.svg", folder / "macs_latency.png"
    svg.write_text(standalone(drawn(rows)), encoding="utf-8")
    browser = next(filter(None, map(shutil.which, BROWSERS)), None)
    if browser is None:
        return [svg]
    size = f"{WIDTH:.0f},{HEIGHT + 120:.0f}"  # a window's own frame takes some of its height
    command = [
        *(browser, "--headless=new", "--no-sandbox", "--disable-gpu", "--hide-scrollbars"),
        *("--force-device-scale-factor=2", f"--window-size={size}"),
        *(f"--screenshot={png.absolute()}", svg.absolute().as_uri()),
    ]
    subprocess.run(command, check=True, capture_output=True, timeout=60)
    _crop(png, HEIGHT / (HEIGHT + 120))
    return [svg, png]


def _crop(path: Path, share: float) -> None:
    from PIL import Image

    with Image.open(path) as picture:
        cut = picture.crop((0, 0, picture.width, round(picture.height * share)))
    cut.save(path, optimize=True)
