from __future__ import annotations

import pytest

from graftwork.data.preparing.several_labels import finding, several_labels


@pytest.mark.parametrize(
    "name",
    ["ants bees", "bees_ants", "ants, bees", "ants+bees", "Ants & Bees", "ants and bees",
     "ants-bees-red mites"],
)  # fmt: skip
def test_a_name_made_of_other_classes_names_reads_like_several_labels(name):
    assert several_labels(["ants", "bees", "red mites", name]) == [name]


def test_other_names_of_several_words_are_classes_like_any_other():
    names = ["ants", "bees", "red mites", "red ants", "antsbees", "ants 2", "c++", "ant", ""]
    assert several_labels(names) == []


def test_many_classes_take_no_time():
    names = [f"class {index}" for index in range(5000)]
    assert several_labels([*names, "class 1, class 4999"]) == ["class 1, class 4999"]


def test_one_and_many_are_grammatical():
    said = "Several labels a picture are not supported"
    assert finding(["a b"]) == (
        f"'a b' reads like several labels. {said}: it was taken as a class of its own."
    )
    many = finding([f"a b{index}" for index in range(7)])
    assert "'a b4' and 2 more read like several labels." in many
    assert f"{said}: each was taken as a class." in many
