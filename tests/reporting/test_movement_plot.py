from __future__ import annotations

from drawn_svg import marks, texts, titles

from graftwork.reporting.movement_plot import lines, movement
from graftwork.training.audit_record import Audit, Group, Span


def group(name: str, moved: float | None, statistics: float | None) -> Group:
    spans = [Span(2, 4, 30)] if moved else []
    rate = 1e-4 if moved else None
    return Group(name, 1234, spans, rate, rate, None, "adapt", moved, statistics)


def test_bars_of_parameters_and_of_statistics() -> None:
    audit = Audit("adapt", [group("stem", 0.0, 0.5), group("layer1", 0.25, 0.125)], [], [])
    svg = movement(audit)
    assert svg is not None
    assert "stem: statistics of BatchNorm moved by 50\u202f%" in titles(svg)
    bar = marks(svg)["layer1: parameters moved by 25 %"]
    assert bar.getAttribute("fill") == "var(--one)"
    assert {"stem", "layer1", "How far each layer group moved"} <= set(texts(svg))
    stem, layer = lines(audit)
    assert (stem["trained"], stem["moved"], stem["statistics"]) == ("–", "0", "50\u202f%")
    assert (layer["trained"], layer["epochs"], layer["moved"]) == ("30", "2 to 4", "25\u202f%")


def test_statistics_that_stayed_have_no_bars_and_nothing_trained_no_picture() -> None:
    svg = movement(Audit("frozen", [group("stem", 0.25, 0.0)], [], []))
    assert svg is not None and not any("statistics" in title for title in titles(svg))
    assert movement(Audit.of_nothing("frozen")) is None and movement(None) is None
