"""The section of the report that says how what is kept was chosen."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from report_pages import EVIL, METRICS, Elements, written
from selection_records import record, without_parts

from graftwork.reporting import plots
from graftwork.reporting.choice import Choice, choice
from graftwork.selecting.record import GoneBack, SelectionRecord

TEST = {
    "top1": {"value": 0.865, "low": 0.838, "high": 0.891, "n": 661},
    "log_loss": {"value": 0.501, "low": 0.449, "high": 0.561, "n": 661},
}
SELECTION = {
    "top1": {"value": 0.873, "low": 0.81, "high": 0.92, "n": 146},
    "log_loss": {"value": 0.48, "low": 0.36, "high": 0.61, "n": 146},
}
START = {
    "selection": {"top1": {"value": 0.842, "low": 0.77, "high": 0.9, "n": 146}},
    "test": {"top1": {"value": 0.812, "low": 0.78, "high": 0.84, "n": 661}},
}


def made(known: SelectionRecord, **changes: Any) -> Choice:
    values = {"selection": SELECTION, "test": TEST, "start": START} | changes
    return choice(known, metrics=METRICS, **values)


def page(path: Path, known: SelectionRecord, **changes: Any) -> str:
    text = written(path / "report.html", choice=made(known, **changes), scores=TEST)
    return " ".join(text.replace("\u202f", " ").split())


def test_the_section_says_how(tmp_path: Path) -> None:
    text = page(tmp_path, record(why=f"by {EVIL}"))
    assert "<script" not in text
    for words in (
        "<h2>How it was chosen</h2>", "Clusters as far from the rest as new photos are.",
        "By &lt;script&gt;alert(1)&lt;/script&gt;. Whole clusters were held out.",
        "<dd>146 in one hold-out</dd>", "<dd>732 pictures</dd>",
        "11.5 points too optimistic.", "2 ways to cut the photos into clusters",
        "<td>Top-1 accuracy</td><td class=\"n\">87.3 %</td>"
        "<td class=\"n muted\">81.0 to 92.0 %</td><td class=\"n\">86.5 %</td>",
    ):  # fmt: skip
        assert words in text, words
    labels = [attributes.get("aria-label") for _, attributes in Elements(text).found]
    assert "How far photos are from the nearest training photo" in labels
    assert "Held-out scores between the first weights and the trained ones" in labels
    assert 'class="note alarm"' not in text and "destroyed" not in text


def test_a_metric_that_one_side_lacks_is_a_gap(tmp_path: Path) -> None:
    text = page(tmp_path, record(), selection={"top1": SELECTION["top1"]})
    assert '<td>Log loss</td><td class="n">–</td><td></td><td class="n">0.501</td>' in text


def test_the_start_stands_beside_the_result(tmp_path: Path) -> None:
    text = page(tmp_path, record())
    assert "What training began from" in text and "difference" not in text
    assert '84.2 %</td><td class="n muted">77.0 to 90.0 %</td><td class="n">87.3 %' in text
    assert '81.2 %</td><td class="n muted">78.0 to 84.0 %</td><td class="n">86.5 %' in text
    change = {"test": {"top1": {"value": 0.053, "low": 0.03, "high": 0.07}}}
    text = page(tmp_path, record(), start=START | {"difference": change})
    assert text.count("paired, 95 % interval") == 1  # of test alone
    assert '+5.3 points</td><td class="n muted">+3.0 to +7.0 points' in text
    assert "What training began from" not in page(tmp_path, record(), start=None)


def test_warnings_stand_out(tmp_path: Path) -> None:
    went = [GoneBack(1, 1023, 1.234, 0.09, 1.0), GoneBack(2, 40, None, 0.09, 1 / 3)]
    went.append(GoneBack(3, 40, float("inf"), 0.09, 1 / 9))
    text = page(tmp_path, record(gone_back=went))
    assert "began again, each time with a third of the learning rates" in text
    assert "Attempt 1: at step 1 023 the loss was 1.23 nats, against 0.09 nats" in text
    assert (
        text.count("the loss was no finite number") == 2 and "learning rates times 0.333." in text
    )
    assert 'class="note alarm"' not in text
    text = page(tmp_path, record(gone_back=went, ended_as_start=True))
    assert 'class="note alarm"' in text and "What training began from was kept" in text
    assert "each time with a third" not in text


def test_nothing_held_out(tmp_path: Path) -> None:
    known = without_parts(method="none", why="", held_out=0, folds=0)
    text = page(tmp_path, known, selection={}, start=None)
    assert "nothing can be chosen by this run" in text
    assert "<dd>0</dd>" in text
    assert '<th>Metric</th><th class="n">selection' not in text
    assert "nothing can be chosen" not in page(tmp_path, without_parts())


def test_optimism_is_told_without_distances(tmp_path: Path) -> None:
    assert "11.5 points" in page(tmp_path, without_parts(optimism=record().optimism))


def test_pictures_held_out_stand_in_for_a_test_that_nobody_looked_at(tmp_path: Path) -> None:
    known = made(record(), test={})
    text = written(
        tmp_path / "r.html", choice=known, scores=SELECTION, split=plots.HELD_OUT, wrong=0,
        mistakes=[],
    )  # fmt: skip
    assert "The test was not looked at." in text
    assert "here are of the pictures that were held out" in text
    assert "n = 146 held-out pictures" in text
    assert "Selection pictures" in text and "Test pictures</th>" not in text  # of the start
    assert "No held-out picture was mistaken." in text
    assert "bootstrap over held-out pictures" in text
    assert "not looked at" not in written(tmp_path / "r.html", choice=known)


def test_a_report_of_nothing(tmp_path: Path) -> None:
    known = made(without_parts(method="none", held_out=0), selection={}, test={}, start=None)
    text = written(
        tmp_path / "r.html", choice=known, scores={}, pictures={"training": None}, classes=[],
        mistakes=[],
    )  # fmt: skip
    assert "Without pictures held out there is nothing to measure." in text
    assert "<h2>Cost</h2>" in text and "<h2>Training</h2>" in text
    assert "Where it errs" not in text and "What training began from" not in text
