from __future__ import annotations

import numpy as np

from benchmarks.wise_curve import Point, damages
from benchmarks.wise_curve_page import written


def test_photos_are_damaged_alike_every_time() -> None:
    rng = np.random.default_rng(0)
    photo = rng.integers(60, 200, (48, 48, 3)).astype(np.uint8)
    kinds = damages()
    assert next(iter(kinds)) == "clean" and len(kinds) == 5
    for name, damage in kinds.items():
        seen = damage(photo, 3)
        assert seen.shape == photo.shape and seen.dtype == np.uint8
        np.testing.assert_array_equal(seen, damage(photo, 3), err_msg=name)
        assert np.array_equal(seen, photo) == (name == "clean")
    assert not np.array_equal(kinds["noise"](photo, 3), kinds["noise"](photo, 4))


def test_the_page_has_means_and_the_best_share_of_each_kind() -> None:
    found = {
        seed: [
            Point(0.0, {"clean": 0.5, "noise": 0.4}),
            Point(0.5, {"clean": 0.7 + seed / 10, "noise": 0.6}),
            Point(1.0, {"clean": 0.9, "noise": 0.3}),
        ]
        for seed in (0, 1)
    }
    text, svg = written(found)
    assert "| 0.5 | 75.0 | 60.0 |" in text and "| best share | 1 | 0.5 |" in text
    assert "wise_curve --seeds 0 1`" in text and "noise, 0.5: 60.0 %" in svg
