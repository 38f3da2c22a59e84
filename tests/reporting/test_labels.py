from __future__ import annotations

import random
from itertools import combinations

from graftwork.reporting.drawing import text_width
from graftwork.reporting.labels import ADJACENT, Box, placed

FRAME = Box(0, 0, 600, 400)


def test_names_keep_off_each_other_and_inside() -> None:
    source = random.Random(5)
    points = [
        (source.uniform(20, 580), source.uniform(20, 380), f"network {i} lp_ft") for i in range(35)
    ]
    found = placed(points, 11, FRAME, [Box(x - 5, y - 5, x + 5, y + 5) for x, y, _ in points])
    boxes = [label.box for label in found if label]
    assert len(boxes) == 35
    assert all(not a.shared(b) for a, b in combinations(boxes, 2))
    for label, (_, _, text) in zip(found, points, strict=True):
        assert label is not None and label.text == text
        assert FRAME.holds(label.box) and label.box.right - label.box.left >= text_width(text, 11)


def test_a_lonely_name_stands_beside_its_point() -> None:
    (label,) = placed([(300, 200, "alone")], 11, FRAME, [])
    assert label is not None and label.line is None
    assert abs(label.x - 300) < ADJACENT + 3 and abs(label.y - 200) < 20


def test_names_of_equal_points_fan_out_with_lines() -> None:
    found = placed([(300, 200, "one and the same point")] * 8, 11, FRAME, [])
    assert all(found)
    assert any(label.line for label in found if label)
    assert len({(label.x, label.y) for label in found if label}) == 8


def test_points_are_not_covered() -> None:
    point = Box(230, 180, 299, 199)  # where the name would stand otherwise
    (free,) = placed([(300, 200, "a name")], 11, FRAME, [])
    (moved,) = placed([(300, 200, "a name")], 11, FRAME, [point])
    assert free is not None and moved is not None
    assert free.box.shared(point) and not moved.box.shared(point)


def test_without_room_there_is_no_name() -> None:
    assert placed([(10, 10, "too long for this frame")], 11, Box(0, 0, 40, 20), []) == [None]


def test_the_same_input_gives_the_same_places() -> None:
    points = [(10.0 * i, 200.0, f"n{i}") for i in range(40)]
    assert placed(points, 11, FRAME, []) == placed(points, 11, FRAME, [])
