"""Profiles as one HTML page that needs nothing but itself."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from graftwork.profiling.resources import Resources
from graftwork.reporting.pages import render


def write_html(path: Path, found: Sequence[Resources], *, layers: bool) -> None:
    """Writes the page: totals of all models, then each with its groups, layers and remarks.

    Every number stands in a `<data value="...">` with all its digits.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    html = render("profile.html.jinja", found=[one.as_dict() for one in found], layers=layers)
    path.write_text(html, encoding="utf-8")
