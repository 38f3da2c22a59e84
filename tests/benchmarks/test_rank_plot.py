from __future__ import annotations

from drawn_svg import marks, texts

from benchmarks import rank_plot
from benchmarks.rank import Measured

ROWS = [
    Measured(f"network_{i}", 224, 10, 10**6 * 2**i, 0.1 * 2**i if i != 2 else 90.0)
    for i in range(12)
]


def test_every_network_is_named_and_outliers_coloured(tmp_path):
    svg = rank_plot.write(ROWS, tmp_path).read_text()
    shown = texts(svg)
    assert {row.name for row in ROWS} <= set(shown)
    fills = {words.split(",")[0]: mark.getAttribute("fill") for words, mark in marks(svg).items()}
    assert [name for name, fill in fills.items() if fill == "var(--bad)"] == ["network_2"]
    assert "network_3, 224 px: 8 M MAC, 0.80 ms, 10.0 GMAC/s" in marks(svg)
    assert any("12 networks" in text for text in shown) and "faster" in shown
    assert 'stroke-dasharray="4,4"' in svg
