from __future__ import annotations

import pytest

from graftwork.data.preparing import data_report
from graftwork.data.preparing.preparation import prepare


def test_findings_are_grammatical(divided, artifacts):
    content = divided.folder.joinpath("000.png").read_bytes()
    divided.add("pear", "train", content=content)
    divided.add("pear", "train", content=b"")
    findings = prepare(divided.dataset(), artifacts)["findings"]
    assert findings[:2] == [
        "1 file cannot be used.",
        "1 exact copy within a split: each picture counts once.",
    ]
    divided.add("pear", "train", content=content)
    divided.add("apple", "train", group="a")
    divided.add("apple", "test", group="a")
    findings = prepare(divided.dataset(), artifacts)["findings"]
    assert "2 exact copies within a split: each picture counts once." in findings
    assert "1 group lies in several splits of the data's own." in findings


def test_the_summary(divided, artifacts, capsys):
    for index in range(25):
        divided.add(f"class {index}", "train")
    data_report.show(prepare(divided.dataset(), artifacts), artifacts.data_report)
    printed = capsys.readouterr().out
    for expected in ("39 pictures", "apple", "class 24", "and 7 more", "33", "report.json"):
        assert expected in printed
    assert "class 7" not in printed.split("all")[0], "twenty classes are shown"
    assert "no pictures of class 0" in printed


@pytest.mark.parametrize(("damaged", "named", "more"), [(4, 4, ""), (8, 5, "and 3 more")])
def test_the_summary_names_the_first_files_that_cannot_be_used(
    divided, artifacts, capsys, damaged, named, more
):
    divided.add("pear", "train", damaged, content=b"<html>")
    data_report.show(prepare(divided.dataset(), artifacts), artifacts.data_report)
    _, _, said = capsys.readouterr().out.partition("Files that cannot be used:\n")
    lines = [line.strip() for line in said.splitlines()]
    assert lines[:named] == [
        f"{divided.folder / f'{14 + i:03d}.png'}: a web page, not an image" for i in range(named)
    ]
    assert lines[named] == more or not more and lines[named].startswith("Report: ")


def test_the_summary_of_good_files_names_none(divided, artifacts, capsys):
    data_report.show(prepare(divided.dataset(), artifacts), artifacts.data_report)
    assert "cannot be used" not in capsys.readouterr().out


def test_a_class_named_like_several_labels_is_reported_and_kept(divided, artifacts, capsys):
    divided.add("apple pear", "train", 2)
    report = prepare(divided.dataset(), artifacts)
    assert report["several_labels"] == ["apple pear"] and "apple pear" in report["classes"]
    data_report.show(report, artifacts.data_report)
    assert "- 'apple pear' reads like several labels." in capsys.readouterr().out


def test_names_of_classes_are_neither_markup_nor_escape_codes(divided, artifacts, capsys):
    for name in ("dog [/us]", "[cat]", ":cat:", "\x1b]0;owned\x07cat\x1b[2J"):
        divided.add(name, "train")
    data_report.show(prepare(divided.dataset(), artifacts), artifacts.data_report)
    printed = capsys.readouterr().out
    rows, findings = printed.split("all ")[0], printed.partition("no pictures of")[2]
    for shown in ("dog [/us]", "[cat]", ":cat:", r"\x1b]0;owned\x07cat\x1b[2J"):
        assert shown in rows and shown in findings
    assert "\x1b" not in printed and "\x07" not in printed
