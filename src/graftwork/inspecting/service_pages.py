"""The pages of `graftwork serve`: for people, and for those who write programs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from graftwork.reporting.pages import render


def service_pages(
    api: Mapping[str, Any], model: str, classes: list[str], name: str
) -> dict[str, tuple[str, str]]:
    """By path, media type and text of each page and of what belongs to it.

    Args:
        api: the OpenAPI description.
        model: its name.
        name: host:port of the service.
    """
    page = render("serve.html.jinja", model=model, classes=classes)
    return {
        "/": ("text/html", page),
        "/page.js": ("text/javascript", render("serve.js.jinja")),
        "/page.css": ("text/css", render("serve.css.jinja")),
        "/docs": ("text/html", render("serve_api.html.jinja", api=api, name=name)),
    }
