"""What all pictures share: templates, scales, ticks, and how wide a text is."""

from __future__ import annotations

import math
import unicodedata
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

TEMPLATES = Path(__file__).parent / "templates"
THIN = "\u202f"  # between a number and its unit: never broken over lines


@cache
def environment() -> Environment:
    """The one Jinja environment: everything is escaped, nothing undefined is overlooked."""
    made = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters |= {"percent": percent, "number": number, "duration": duration, "px": px}
    made.filters |= {"short": short, "millions": millions}
    return made


def render(template: str, **values: Any) -> Markup:
    """One template, filled. Safe to stand inside another one."""
    return Markup(environment().get_template(template).render(**values))


def standalone(svg: Markup) -> str:
    """A picture as a file of its own: with the colours that it shares with the report."""
    style = Markup("<style>{}</style>").format(Markup(render("colours.css.jinja")))
    head, _, body = str(svg).partition(">")
    return f'{head}>{style}<rect width="100%" height="100%" class="paper"/>{body}\n'


def percent(share: float, digits: int = 1) -> str:
    return f"{100 * share:.{digits}f}{THIN}%"


def number(value: float) -> str:
    """Three or more significant digits, thousands apart."""
    if value == int(value) or abs(value) >= 1000:
        return f"{value:,.0f}".replace(",", THIN)
    return f"{value:.3g}"


def short(count: float) -> str:
    """Three to four digits and the unit: `25.6 M`."""
    for power, unit in ((9, "G"), (6, "M"), (3, "k")):
        if count >= 0.9995 * 10**power:
            value = count / 10**power
            return f"{value:.{1 if value >= 9.995 else 2}f}{THIN}{unit}"
    return number(count)


def millions(count: float) -> str:
    """A tenth of a million: `1 849.7`."""
    return f"{count / 1e6:,.1f}".replace(",", THIN)


def compact(value: float) -> str:
    """As `short`, without zeros at the end: for ticks."""
    amount, thin, unit = short(value).partition(THIN)
    return (amount.rstrip("0").rstrip(".") if "." in amount else amount) + thin + unit


def duration(seconds: float) -> str:
    if seconds < 100:
        return f"{seconds:.1f}{THIN}s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    parts = [f"{hours}{THIN}h"] if hours else []
    return " ".join([*parts, f"{minutes}{THIN}min", *([] if hours else [f"{rest}{THIN}s"])])


def px(value: float) -> str:
    """A coordinate: a tenth of a pixel is enough."""
    return f"{value:.1f}".removesuffix(".0")


@dataclass(frozen=True)
class Scale:
    """Values to pixels, linearly."""

    low: float
    high: float
    start: float  # px at `low`
    end: float  # px at `high`

    def __call__(self, value: float) -> float:
        return self.start + (value - self.low) / (self.high - self.low) * (self.end - self.start)


@dataclass(frozen=True)
class LogScale(Scale):
    """Values to pixels: equal ratios are equal distances. `low` is positive."""

    def __call__(self, value: float) -> float:
        share = math.log(value / self.low) / math.log(self.high / self.low)
        return self.start + share * (self.end - self.start)


def ticks(low: float, high: float, about: int = 5) -> list[float]:
    """Round numbers (1, 2, 5 times a power of ten) within [low, high], about so many."""
    raw = (high - low) / about
    if raw <= 0 or not math.isfinite(raw):
        return [low]
    power = 10.0 ** math.floor(math.log10(raw))
    step = power * next(m for m in (1, 2, 5, 10) if m * power >= raw * 0.999)
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    return [round(index * step, 12) for index in range(first, last + 1)]


def log_ticks(low: float, high: float, about: int = 6) -> list[float]:
    """1, 2 and 5 times powers of ten within [low, high]; powers alone where that is enough."""
    powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    for steps in ((1,), (1, 3), (1, 2, 5), (1, 1.5, 2, 3, 5, 7)):
        found = [step * 10.0**power for power in powers for step in steps]
        inside = [round(tick, 12) for tick in found if low * 0.999 <= tick <= high * 1.001]
        if len(inside) >= min(about, 3):
            return inside
    return ticks(low, high, 3)


def text_width(text: str, size: float) -> float:
    """A safe guess in px: fonts differ, and the widest common sans serif must fit."""
    return sum(_em(char) for char in text) * size


def _em(char: str) -> float:
    if unicodedata.combining(char):
        return 0.0
    if unicodedata.east_asian_width(char) in "WF":
        return 1.0
    return 0.34 if char in "iIjl.,:;'|! " else 0.9 if char in "mwMW@%<>&=+" else 0.63


def shortened(text: str, width: float, size: float) -> str:
    """The text, or as much of its beginning and end as fits in `width` px."""
    if text_width(text, size) <= width:
        return text
    for kept in range(len(text) - 1, 1, -1):
        short = text[: kept - kept // 3] + "…" + text[len(text) - kept // 3 :]
        if text_width(short, size) <= width:
            return short
    return text[:1] + "…"


def wrapped(text: str, width: float, size: float) -> list[str]:
    """The text in lines of at most `width` px; a word that is longer is shortened."""
    lines: list[str] = []
    for word in text.split():
        whole = f"{lines[-1]} {word}" if lines else word
        if lines and text_width(whole, size) <= width:
            lines[-1] = whole
        else:
            lines.append(shortened(word, width, size))
    return lines
