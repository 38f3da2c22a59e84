"""The templates of all pages."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from graftwork.reporting.numbers import duration, millions, number, percent, short

TEMPLATES = Path(__file__).parent / "templates"


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
    made.filters |= {"percent": percent, "number": number, "duration": duration}
    made.filters |= {"short": short, "millions": millions}
    return made


def render(template: str, **values: Any) -> Markup:
    """One template, filled. Safe to stand inside another one."""
    return Markup(environment().get_template(template).render(**values))
