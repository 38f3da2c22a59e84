from __future__ import annotations

import re
from xml.dom.minidom import parse

from benchmarks import rank_plot
from benchmarks.rank import Measured

ROWS = [
    Measured(f"network_{i}", 224, 10, 10**6 * 2**i, 0.1 * 2**i if i != 2 else 90.0)
    for i in range(12)
]


def test_every_network_is_named_and_outliers_coloured(tmp_path, monkeypatch):
    monkeypatch.setattr(rank_plot, "BROWSERS", ())
    (path,) = rank_plot.write(ROWS, tmp_path)
    parse(str(path))
    text = path.read_text()
    names = re.findall(r'class="small halo[^"]*">([^<]*)<', text)
    assert sorted(names) == sorted(row.name for row in ROWS)
    assert re.findall(r'class="bad"/>\s*<title>(network_\d+)', text) == ["network_2"]
    assert "network_3, 224 px: 8 M MAC, 0.80 ms, 10.0 GMAC/s" in text
    assert 'class="ideal"' in text and "12 networks" in text
