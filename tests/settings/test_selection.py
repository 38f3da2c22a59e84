from __future__ import annotations

from functools import cache

import pytest
from conftest import CONF, composed

from graftwork.config.components import build
from graftwork.config.errors import UserError
from graftwork.settings.selection import METHODS, Selection


@cache
def values() -> dict[str, object]:
    return composed()["selection"]


def selection(**changes: object) -> Selection:
    return build({**values(), **changes}, Selection, "selection")


def test_every_method_has_a_file_of_its_own() -> None:
    assert sorted(METHODS) == sorted(path.stem for path in (CONF / "selection").glob("*.yaml"))


@pytest.mark.parametrize(
    ("field", "wrong", "right"),
    [
        ("method", "matchd", "matched"),
        ("min_val", 0, 1),
        ("min_expected", 0, 1),
        ("head_folds", 1, 2),
        ("folds", 0, 1),
        ("held_out", 0.0, 0.01),
        ("held_out", 0.51, 0.5),
        ("group_by", "series", "taken"),
        ("gap_minutes", 0.0, 0.1),
        ("duplicate_cosine", 1.01, 1.0),
        ("max_pictures", 99, 100),
        ("direction", "up", "minimize"),
    ],
)
def test_what_cannot_be_is_refused_by_name(field: str, wrong: object, right: object) -> None:
    assert getattr(selection(**{field: right}), field) == right
    with pytest.raises(UserError, match=rf"selection\.{field}: "):
        selection(**{field: wrong})
