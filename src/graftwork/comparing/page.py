"""The page of `graftwork compare`: differences drawn, and photos that one system alone knows."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from graftwork.comparing.pairs import Pair, System
from graftwork.data.images import UnreadableImage, decode
from graftwork.reporting.forest_plot import Row, forest
from graftwork.reporting.pages import render
from graftwork.reporting.report import THUMBNAIL, thumbnail

SHOWN = 12  # photos of a kind
DRAWN_PAIRS = 6  # whose photos are shown, those with the smallest p first
MAX_PIXELS = 10**8  # of a photo that is drawn small


@dataclass(frozen=True)
class Photo:
    """One that only one of two systems recognises."""

    name: str
    actual: str
    said: str  # by the one that is wrong
    picture: str  # data URI; empty where the file is not here


@dataclass(frozen=True)
class Apart:
    """The photos of which two systems say different things, one of them rightly."""

    heading: str
    count: int
    photos: list[Photo]


def page(
    found: Sequence[System], pairs: Sequence[Pair], confidence: float, sentences: Sequence[str]
) -> str:
    """One HTML file that needs nothing but itself."""
    rows = [Row(words(pair), pair.gain, pair.p) for pair in pairs]
    surest = sorted(pairs, key=lambda pair: pair.p)[:DRAWN_PAIRS]
    return render(
        "compare.html.jinja",
        title=f"{len(found)} systems on {len(found[0].runs[0].right)} test pictures",
        sentences=sentences,
        picture=forest(rows, "Top-1, the first minus the second", confidence),
        systems=found,
        pairs=pairs,
        confidence=confidence,
        words=words,
        apart=[part for pair in surest for part in apart(pair)],
    )


def words(pair: Pair) -> str:
    return f"{pair.one.name} − {pair.other.name}"


def apart(pair: Pair) -> Iterator[Apart]:
    """Of the first run of each: what it alone gets right, then what the other alone does."""
    tables = [_answers(side.runs[0].predictions) for side in (pair.one, pair.other)]
    right = [side.runs[0].right for side in (pair.one, pair.other)]
    names = pair.one.name, pair.other.name
    for good, bad in ((0, 1), (1, 0)):
        rows = np.flatnonzero(right[good] & ~right[bad])
        heading = f"{names[good]} is right, {names[bad]} is not"
        yield Apart(heading, len(rows), [_photo(tables[bad], int(row)) for row in rows[:SHOWN]])


def _answers(path: Path) -> Mapping[str, list[str]]:
    import pyarrow.parquet as pq

    found: Mapping[str, list[str]] = pq.read_table(
        path, columns=["path", "class", "predicted"]
    ).to_pydict()
    return found


def _photo(answers: Mapping[str, list[str]], row: int) -> Photo:
    path, actual, said = (answers[name][row] for name in ("path", "class", "predicted"))
    picture = ""
    with suppress(OSError, UnreadableImage):  # the answers stand, wherever the photos went
        picture = thumbnail(decode(Path(path), MAX_PIXELS, THUMBNAIL))
    return Photo(Path(path).name, actual, said, picture)
