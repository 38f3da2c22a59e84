"""Charts as SVG, drawn by Vega: what all of them have in common.

A chart is a specification of Vega-Lite, or of Vega where names stand beside points. Its colours are
the CSS variables of templates/colours.css.jinja, which the browser looks up: so a chart follows the
reader's light or dark mode.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from markupsafe import Markup

from graftwork.process.terminal import visible
from graftwork.reporting.pages import render

Spec = dict[str, Any]
Rows = list[dict[str, Any]]
SERIES = ("one", "two", "three", "four", "five", "six")  # colours that are told apart
SHARES = {"domain": [0, 1]}  # a scale of all that a share can be
FONT = 'system-ui, -apple-system, "Segoe UI", Roboto, "Noto Sans", Arial, sans-serif'
MUTED = {"labelColor": "var(--muted)", "titleColor": "var(--muted)", "titleFontWeight": "normal"}
AXIS = {"gridColor": "var(--line)", "tickColor": "var(--line)", "domainColor": "var(--muted)"}
SIZES = {"labelFontSize": 11, "titleFontSize": 12, "labelFont": FONT, "titleFont": FONT}
CONFIG = {
    "aria": False,  # but for what says what it is about
    "padding": 8,
    "view": {"stroke": None},
    "axis": {**MUTED, **AXIS, **SIZES, "labelLimit": 170, "titlePadding": 8},
    "axisX": {"grid": False},
    "axisY": {"domain": False, "ticks": False, "labelPadding": 6},
    "legend": {**MUTED, **SIZES, "labelColor": "var(--ink)", "labelLimit": 320, "title": None},
    "text": {"color": "var(--ink)", "fontSize": 11, "font": FONT},
    "title": {
        "anchor": "start",
        "font": FONT,
        "subtitleFont": FONT,
        "color": "var(--ink)",
        "fontSize": 15,
        "offset": 12,
        "subtitleColor": "var(--muted)",
        "subtitleFontSize": 12,
        "subtitlePadding": 6,
    },
}


def colour(name: str) -> str:
    """A colour of the style sheet, for a specification."""
    return f"var(--{name})"


def ticked(share: bool, **more: Any) -> Spec:
    """An axis of shares, in per cent, or of other numbers."""
    percent = {"labelExpr": "format(100 * datum.value, '.3~g') + ' %'"}
    return {**(percent if share else {"format": ".3~g"}), **more}


def field(name: str, **more: Any) -> Spec:
    """A channel of numbers: a column of the data, with its scale and axis."""
    return {"field": name, "type": "quantitative", "title": None, **more}


def nominal(name: str, **more: Any) -> Spec:
    """A channel of words."""
    return {"field": name, "type": "nominal", "title": None, **more}


def heading(title: str, note: str | list[str] = "") -> Spec:
    """Of a chart; the note may have several lines."""
    return {"text": title, "subtitle": note}


def layer(kind: str, look: Spec | None = None, **channels: Any) -> Spec:
    """Marks of one kind: what they look like, and the channels that are theirs alone."""
    return {"mark": {"type": kind, **(look or {})}, "encoding": channels}


def told(kind: str, look: Spec | None = None, **channels: Any) -> Spec:
    """The same, and each says what it is, to readers and under the pointer: column `about`."""
    return layer(kind, {"aria": True, **(look or {})}, description=nominal("about"), **channels)


def panel(
    rows: Rows, size: tuple[int, Any], layers: list[Spec], title: str = "", **channels: Any
) -> Spec:
    """One diagram.

    Args:
        rows: of the data.
        size: px, width and height (`{"step": px}` of a row).
        channels: that all layers share.
    """
    words = {"text": title, "fontSize": 12, "offset": 8, "anchor": "start"}
    return {
        **({"title": words} if title else {}),
        **{"width": size[0], "height": size[1], "data": {"values": rows}},
        **{"layer": layers, "encoding": channels},
    }


def vega_lite(spec: Mapping[str, Any], about: str) -> Markup:
    """A specification of Vega-Lite, drawn.

    Args:
        about: what the chart shows, for those who do not see it.
    """
    whole = {"background": "transparent", "config": CONFIG, **spec}
    return _readable(_drawn(json.dumps(_in_unicode(whole)), lite=True), about)


def vega(spec: Mapping[str, Any], about: str) -> Markup:
    """A specification of Vega, drawn; likewise."""
    return _readable(_drawn(json.dumps(_in_unicode({"config": CONFIG, **spec})), lite=False), about)


@lru_cache(maxsize=16)  # what held-out pictures are like is the same in all jobs of a sweep
def _drawn(spec: str, *, lite: bool) -> str:
    # Here, not above: a command that draws nothing need not load a JavaScript engine.
    import vl_convert

    return (vl_convert.vegalite_to_svg if lite else vl_convert.vega_to_svg)(json.loads(spec))


def _in_unicode(part: Any) -> Any:
    """Without what no SVG can hold: a name may bear control characters, or bytes of no encoding."""
    if isinstance(part, str):
        return visible(part)
    if isinstance(part, dict):
        return {key: _in_unicode(value) for key, value in part.items()}
    return [_in_unicode(value) for value in part] if isinstance(part, list) else part


def _readable(svg: str, about: str) -> Markup:
    """With a name for the whole, and under the pointer what a mark is."""
    head, _, body = svg.partition(">")
    width = float(re.search(r' width="([\d.]+)"', head)[1])  # type: ignore[index]
    head = head.replace('class="marks"', 'class="plot"')
    named = Markup(' role="img" aria-label="{}" style="min-width:{:.0f}px"').format(
        about,
        min(0.9 * width, 560),  # on a phone it scrolls: smaller text could not be read
    )
    mark = re.compile(r'<(\w+) aria-label="([^"]*)" role="graphics-symbol"([^>]*)/>')
    body = mark.sub(r"<\1\3><title>\2</title></\1>", body)
    return Markup(f"{head}{named}>{body}")


def standalone(svg: Markup) -> str:
    """A chart as a file of its own: with the colours that it shares with the report."""
    style = Markup("<style>{}</style>").format(render("colours.css.jinja"))
    head, _, body = str(svg).partition(">")
    return f'{head}>{style}<rect width="100%" height="100%" class="paper"/>{body}\n'
