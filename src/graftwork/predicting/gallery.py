"""The page: of each class how many photos it was given, the surest and the least sure of them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from graftwork.data.images import UnreadableImage, decode
from graftwork.model_folder.contents import Contract
from graftwork.predicting.tally import EACH, Tally
from graftwork.process.terminal import visible
from graftwork.reporting.pages import render
from graftwork.reporting.report import thumbnail

SIDE = 148  # px


def write(page: Path, title: str, tally: Tally, contract: Contract) -> None:
    """One HTML file that needs nothing but itself; photos are read again for it, a few a class."""
    sections = []
    for name, of in tally.by_class.items():
        if not of.count:
            continue
        surest = [(chance, path) for chance, _, path in sorted(of.surest, reverse=True)]
        shown = {path for _, path in surest}
        least = [(-rank, path) for rank, _, path in sorted(of.least, reverse=True)]
        sections.append(
            {
                "name": name, "count": of.count, "mean": of.total / of.count,
                "surest": [_photo(*pair, contract) for pair in surest],
                "least": [_photo(*pair, contract) for pair in least if pair[1] not in shown],
            }
        )  # fmt: skip
    html = render(
        "gallery.html.jinja", title=title, sections=sections, answered=tally.answered,
        unread=len(tally.unread), each=EACH, none=len(tally.by_class) - len(sections),
    )  # fmt: skip
    page.parent.mkdir(parents=True, exist_ok=True)
    page.write_text(html, encoding="utf-8")


def _photo(probability: float, path: str, contract: Contract) -> dict[str, Any]:
    seen = contract.preprocessing
    try:
        picture = thumbnail(decode(Path(path), seen.max_pixels, seen.decoded_side), SIDE)
    except UnreadableImage:  # it has gone since
        picture = None
    return {"name": visible(Path(path).name), "probability": probability, "picture": picture}
