from __future__ import annotations

import csv
import dataclasses
import re
from pathlib import Path
from xml.dom.minidom import parseString

from drawn_svg import marks, place, texts, titles
from selection_records import record, without_parts

from graftwork.reporting import selection_plots
from graftwork.selecting.record import Distances, Optimism, WayPoint

EVIL = "<script>alert(1)</script>"


def test_distances_show_every_curve() -> None:
    svg = selection_plots.distances(record(), captioned=False)
    assert svg is not None
    found = titles(svg)
    assert "new photos: 50 % within 0.2" in found
    assert "held-out photos: 100 % within 0.5" in found
    assert "photos held out at random: 50 % within 0.02" in found
    points = marks(svg)
    half, whole = points["new photos: 50 % within 0.2"], points["new photos: 100 % within 0.4"]
    (x1, y1), (x2, y2) = place(half), place(whole)
    assert (x2, y1, y2) == (2 * x1, 128, 0)  # px: half of 256 is nearer
    assert len(re.findall(r'd="M[^"]*L[^"]*" stroke="var', svg)) == 3
    assert svg.count('stroke-dasharray="6,4"') == 1  # of those that were held out at random
    assert "Median" not in svg
    assert 'role="img" aria-label="How far photos are' in svg


def test_a_picture_alone_says_what_it_means() -> None:
    shown = record(why=f"of {EVIL} and more words than one line can hold" * 2)
    svg = selection_plots.distances(shown, captioned=True)
    assert svg is not None and "<script" not in svg
    words = " ".join(texts(svg))
    assert "Method: matched. Of <script>" in words
    assert "Median distance: 0.2 for new photos, 0.25 for held-out photos, 0.02 for" in words
    assert max(map(len, texts(svg))) <= selection_plots.CAPTION_WIDTH


def test_how_optimistic_random_folds_are() -> None:
    words = selection_plots.optimism(record())
    assert "97.3\u202f% top-1, against 85.8\u202f%" in words
    assert "11.5 points too optimistic." in words
    level = record(optimism=Optimism(0.85, 0.858))
    assert "random folds are not optimistic" in selection_plots.optimism(level)
    assert selection_plots.optimism(without_parts()) == ""


def test_curves_that_are_not_known_are_left_out() -> None:
    known = Distances([0, 100], [], [0.3, 0.3], [])
    shown = record(distances=known)
    svg = selection_plots.distances(shown, captioned=True)
    assert svg is not None
    assert titles(svg) == ["held-out photos: 0 % within 0.3", "held-out photos: 100 % within 0.3"]
    assert "Median" not in svg  # no 50 % was kept
    for nothing in (None, Distances([], [], [], []), Distances([0, 100], [], [], [])):
        assert selection_plots.distances(record(distances=nothing), captioned=True) is None
    level = record(distances=Distances([0, 100], [0, 0], [], []))
    assert "NaN" not in str(selection_plots.distances(level, captioned=True))


def test_the_way_marks_what_was_chosen() -> None:
    svg = selection_plots.way(record())
    assert svg is not None
    found = titles(svg)
    assert "75\u202f% of the way: Top-1 accuracy 87.3\u202f%" in found
    assert "75\u202f% of the way: Log loss (nats) 0.48" in found
    assert "Chosen: 75\u202f% of the way, 87.3\u202f% top-1 on 146 held-out pictures" in svg
    assert texts(svg).count("chosen") == 2
    rings = re.findall(r'translate\(([\d.]+),[\d.]+\)" d="[^"]*" stroke="var\(--two\)"', svg)
    assert [float(x) for x in rings] == [150, 150]  # px of 200, in each diagram


def test_the_way_without_a_choice_or_a_difference() -> None:
    points = [WayPoint(1.0, 1.0, 0.0, False), WayPoint(0.0, 1.0, 0.0, False)]
    svg = selection_plots.way(record(shares=points))
    assert svg is not None and "NaN" not in svg
    assert "chosen" not in texts(svg)
    assert titles(svg)[0].startswith("0\u202f%")  # in the order of the way
    assert selection_plots.way(without_parts()) is None
    assert selection_plots.way(record(shares=[])) is None


def test_files(tmp_path: Path) -> None:
    selection_plots.write(tmp_path, record())
    assert {path.name for path in tmp_path.iterdir()} == {
        "distances.svg", "way.svg", "distances.csv", "way.csv",
    }  # fmt: skip
    for name in ("distances.svg", "way.svg"):
        text = (tmp_path / name).read_text(encoding="utf-8")
        parseString(text)
        assert "prefers-color-scheme: dark" in text
    assert "Method: matched." in (tmp_path / "distances.svg").read_text(encoding="utf-8")
    with (tmp_path / "distances.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert rows[1] == {"percentile": "50", "new": "0.2", "held_out": "0.25", "random": "0.02"}
    with (tmp_path / "way.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert rows[1] == {"share": "0.75", "top1": "0.873", "log_loss": "0.48", "chosen": "True"}


def test_nothing_known_writes_nothing(tmp_path: Path) -> None:
    selection_plots.write(tmp_path, without_parts())
    assert not list(tmp_path.iterdir())
    partly = dataclasses.replace(without_parts(), distances=Distances([50], [], [0.1], []))
    selection_plots.write(tmp_path, partly)
    assert (tmp_path / "distances.csv").read_text().split() == ["percentile,held_out", "50,0.1"]
