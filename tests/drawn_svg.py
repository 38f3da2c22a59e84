"""Reading charts back."""

from __future__ import annotations

import re
from xml.dom.minidom import Element, parseString

from markupsafe import Markup


def titles(svg: Markup) -> list[str]:
    """What marks say under the pointer; also proves that the picture is well-formed."""
    return _words(svg, "title")


def texts(svg: Markup) -> list[str]:
    """Every text that is to be read, outside of tooltips."""
    return [word.replace("\u202f", " ") for word in _words(svg, "text")]


def marks(svg: Markup) -> dict[str, Element]:
    """The marks by what they say under the pointer."""
    nodes = parseString(str(svg)).getElementsByTagName("title")
    return {node.firstChild.data.replace("\u202f", " "): node.parentNode for node in nodes}


def place(mark: Element) -> tuple[float, float]:
    """Where a point is, px: to the right, and down; to a tenth."""
    found = re.match(r"translate\(([-\d.]+),([-\d.]+)\)", mark.getAttribute("transform"))
    assert found is not None
    return round(float(found[1]), 1), round(float(found[2]), 1)


def _words(svg: Markup, tag: str) -> list[str]:
    nodes = parseString(str(svg)).getElementsByTagName(tag)
    seen = [node for node in nodes if node.getAttribute("opacity") != "0"]
    lines = [node.getElementsByTagName("tspan") or [node] for node in seen]
    return [line.firstChild.data for found in lines for line in found if line.firstChild]
