"""Reading pictures back."""

from __future__ import annotations

from xml.dom.minidom import parseString

from markupsafe import Markup


def titles(svg: Markup) -> list[str]:
    """Tooltips, unescaped; also proves that the picture is well-formed."""
    nodes = parseString(str(svg)).getElementsByTagName("title")
    return [node.firstChild.data for node in nodes]
