from __future__ import annotations

from graftwork.reporting.numbers import compact, duration, number, percent


def test_numbers_as_people_read_them() -> None:
    assert percent(0.8426) == "84.3\u202f%"
    assert number(3389418) == "3\u202f389\u202f418"
    assert number(61.23) == "61.2"
    assert compact(4_089_184_256) == "4.09\u202fG"
    assert compact(3_389_418) == "3.39\u202fM"
    assert compact(999_900) == "1\u202fM" and compact(512) == "512"
    assert duration(12.34) == "12.3\u202fs"
    assert duration(131.4) == "2\u202fmin 11\u202fs"
    assert duration(7384) == "2\u202fh 3\u202fmin"
