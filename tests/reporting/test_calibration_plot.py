from __future__ import annotations

import numpy as np
from drawn_svg import marks, place, texts

from graftwork.reporting.calibration_plot import SIDE, reliability


def test_bins() -> None:
    probabilities = np.array([[0.95, 0.05], [0.94, 0.06], [0.4, 0.6], [0.0, 1.0]], np.float32)
    svg = reliability(probabilities, np.array([0, 1, 1, 1]))
    found = marks(svg)
    assert list(found) == [
        "1 pictures, 60.0 % sure, 100.0 % right",
        "3 pictures, 96.3 % sure, 66.7 % right",
    ]
    # Px, from the left by how sure, from above by how often wrong.
    assert [place(mark) for mark in found.values()] == [(0.6 * SIDE, 0), (289, SIDE / 3)]
    assert {"Calibration", "right", "pictures", "probability of the prediction"} <= set(texts(svg))
    assert svg.count('stroke-dasharray="4,4"') == 1  # where an honest network lies
