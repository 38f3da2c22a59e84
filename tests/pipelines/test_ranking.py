from __future__ import annotations

import csv
import io
import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import yaml
from rich.console import Console

from graftwork.data import manifest
from graftwork.storage.artifacts import Artifacts
from pipelines.ranking import Ranking, jobs, rankings
from pipelines.ranking_tables import as_csv, as_html, table
from pipelines.ranking_words import sentences
from pipelines.sweep_costs import accuracy_against_cost

TOP1 = {"_target_": "graftwork.metrics.accuracy.TopK", "k": 1, "higher_is_better": True}


def interval(value: float) -> dict[str, float]:
    return {"value": value, "low": value - 0.1, "high": value + 0.1, "n": 9}


def job(
    folder: Path,
    number: int,
    network: str,
    top1: float | None,
    sha: str = "same",
    *,
    test: float | None = None,
    loss: float = 1.0,
    method: str = "matched",
    fitted: int = 586,
    status: str = "finished",
    **cost: float,
) -> Artifacts:
    """A job's folder; `top1` None: without a selection score."""
    artifacts = Artifacts.at(folder / str(number))
    artifacts.metrics.parent.mkdir(parents=True)
    facts = {"job": number, "differs": f"model={network}", "status": status}
    facts |= {} if status == "finished" else {"error": "a <bad> one"}
    (artifacts.root / "job.json").write_text(json.dumps(facts))
    metrics = {"evaluation": {"metrics": {"top1": TOP1}}}
    names = {"model": {"name": network}, "dataset": {"name": "fruit"}}
    artifacts.params.write_text(yaml.safe_dump(names | metrics))
    scores = {} if top1 is None else {"top1": interval(top1), "log_loss": {"value": loss}}
    result: dict[str, Any] = {
        "confidence": 0.95,
        "selection": {"method": method, "held_out": 146, "fitted": fitted, "scores": scores},
        "test": {} if test is None else {"top1": interval(test), "macro_f1": {"value": 0.25}},
        "cost": {**cost, "seconds": {"finetune": 7.0 + number}},
    }
    if status == "finished":
        artifacts.metrics.write_text(json.dumps(result))
    row = {"path": "p", "label": 0, "class": "a", "split": "train", "sha256": sha, "width": 1}
    row |= {"height": 1, "verdict": "ok", "group": "", "taken": math.nan}
    manifest.write(pd.DataFrame([row]), artifacts.manifest)
    return artifacts


def ranked(folder: Path) -> list[Ranking]:
    return rankings(jobs(folder))


def order(ranking: Ranking) -> list[tuple[int | None, int]]:
    return [(ranking.rank(job), job.number) for job in ranking.jobs]


def printed(folder: Path, width: int = 200) -> str:
    out = io.StringIO()
    Console(file=out, width=width).print(table(ranked(folder), width))
    return out.getvalue()


@pytest.fixture
def sweep(tmp_path: Path) -> Path:
    """By the test, job 1 would come first."""
    job(tmp_path, 0, "resnet50", 0.8, test=0.5, macs=4e9, parameters=2.5e7)
    job(tmp_path, 1, "mobilenetv2", 0.7, test=0.9, macs=3e8, parameters=3.5e6)
    job(tmp_path, 2, "vgg16", None, status="failed")
    job(tmp_path, 3, "vit_small", 0.9, "other", macs=4e9, parameters=2e7)
    return tmp_path


def test_the_selection_score_orders_and_the_test_does_not(sweep):
    first, second = ranked(sweep)
    assert order(first) == [(1, 0), (2, 1), (None, 2)] and order(second) == [(1, 3)]
    rows = list(csv.DictReader(as_csv([first, second]).splitlines()))
    assert [row["rank"] for row in rows] == ["1", "2", "", "1"]
    assert [row["test_top1_value"] for row in rows] == ["0.5", "0.9", "", ""]
    assert rows[0]["selection_top1_value"] == "0.8" and rows[0]["selection_log_loss"] == "1.0"
    assert (rows[0]["method"], rows[0]["fitted"]) == ("matched", "586")


def test_equal_scores_are_parted_by_log_loss_not_by_test(tmp_path):
    job(tmp_path, 0, "a", 0.8, loss=0.6, test=0.99)
    job(tmp_path, 1, "b", 0.8, loss=0.5, test=0.1)
    (ranking,) = ranked(tmp_path)
    assert order(ranking) == [(1, 1), (2, 0)]


def test_jobs_without_a_score_come_after_unranked_and_it_is_said(tmp_path):
    job(tmp_path, 0, "a", None, test=0.99, method="none")
    job(tmp_path, 1, "b", 0.3, test=0.2)
    (ranking,) = ranked(tmp_path)
    assert order(ranking) == [(1, 1), (None, 0)]
    assert "1 job without a selection score, listed after, not ranked." in sentences(ranking)
    assert "no score" in printed(tmp_path)


def test_data_sets_are_never_ranked_against_each_other(sweep):
    first, second = ranked(sweep)
    assert "fruit, data " in first.heading and first.heading != second.heading
    text = printed(sweep)
    assert first.heading in text and second.heading in text
    page = as_html([first, second], "t", [])
    assert page.count("<h2>Ranking") == 2


def test_jobs_that_did_not_get_to_their_data_stand_with_the_others(tmp_path):
    job(tmp_path, 0, "a", 0.8)
    Artifacts.at(tmp_path / "1").root.mkdir()
    (tmp_path / "1/job.json").write_text('{"job": 1, "status": "failed", "error": "no"}')
    (ranking,) = ranked(tmp_path)
    assert order(ranking) == [(1, 0), (None, 1)]


def test_unequal_data_is_said(tmp_path):
    job(tmp_path, 0, "a", 0.8)
    job(tmp_path, 1, "b", 0.7)
    (equal,) = ranked(tmp_path)
    assert "Chosen on 146 held-out pictures (matched); what is kept was fitted on 586." in (
        sentences(equal)
    )
    job(tmp_path, 2, "c", 0.6, fitted=732)
    job(tmp_path, 3, "d", 0.6, method="validation")
    (unequal,) = ranked(tmp_path)
    (said,) = [words for words in sentences(unequal) if "unequal data" in words]
    assert "2 jobs matched, 146 held out, fitted on 586" in said
    assert "1 job matched, 146 held out, fitted on 732" in said and "1 job validation" in said
    assert said in as_html([unequal], "t", [])
    assert " ".join(said.split()) in " ".join(printed(tmp_path, 200).split())


def answers(artifacts: Artifacts, right: np.ndarray) -> None:
    predicted = np.where(right, "cat", "dog")
    names = [str(number) for number in range(len(right))]
    frame = pd.DataFrame({"sha256": names, "class": "cat", "predicted": predicted})
    frame.to_parquet(artifacts.predictions)
    artifacts.held_out.parent.mkdir()
    frame.to_parquet(artifacts.held_out)


def test_the_luck_of_the_best_is_told_by_answers_else_by_intervals(tmp_path):
    found = [job(tmp_path, number, str(number), 0.8, test=0.5) for number in range(4)]
    (by_interval,) = ranked(tmp_path)
    # 1.0294 standard errors of 0.2 / 3.92
    expected = "Luck: of 4 equally good ones, the best test score is expected 5.3 points better"
    assert any(words.startswith(expected) for words in sentences(by_interval))
    for artifacts in found:
        answers(artifacts, np.arange(80) % 5 > 0)
    (by_answers,) = ranked(tmp_path)
    luck = [words for words in sentences(by_answers) if words.startswith("Luck")]
    assert len(luck) == 2 and all("0.0 points" in words and "paired" in words for words in luck)
    found[1].predictions.write_text("no Parquet")
    assert any(words.startswith(expected) for words in sentences(ranked(tmp_path)[0]))


def test_a_test_that_was_not_looked_at_is_said(tmp_path):
    job(tmp_path, 0, "a", 0.8, test=0.5)
    job(tmp_path, 1, "b", 0.7)
    text = printed(tmp_path)
    assert text.count("not looked at") == 1 and "looked at for the first alone" in text
    page = as_html(ranked(tmp_path), "t", [])
    assert page.count("not looked at") == 1 and "test score is expected" not in page


def test_jobs_on_the_same_pictures_are_drawn_together(sweep):
    (section,) = accuracy_against_cost(ranked(sweep))
    assert section.heading.startswith("Top-1 accuracy on held-out pictures of fruit (data ")
    assert section.sentences == ["No run has recorded: latency, energy."]
    assert len(section.pictures) == 3  # macs, parameters, seconds
    for picture in section.pictures:
        assert "resnet50: 80.0 (70.0 to 90.0) %" in picture and "mobilenetv2" in picture
        assert "vit_small" not in picture and "vgg16" not in picture
    assert "Top-1 accuracy, held out, %" in section.pictures[0]


def test_the_page_has_rankings_and_pictures(sweep):
    found = ranked(sweep)
    page = as_html(found, "model=<all>", accuracy_against_cost(found))
    assert page.startswith("<!doctype html>") and page.count("<svg") == 3
    assert "model=&lt;all&gt;" in page and "failed: a &lt;bad&gt; one" in page
    assert page.index("model=resnet50</td>") < page.index("model=mobilenetv2</td>")


def test_nothing_is_drawn_of_a_single_job_of_failures_or_of_test_scores(tmp_path):
    assert accuracy_against_cost(ranked(tmp_path)) == []
    job(tmp_path, 0, "resnet50", 0.8, macs=4e9)
    job(tmp_path, 1, "vgg16", None, status="failed")
    job(tmp_path, 2, "vgg11", None, test=0.7, macs=4e8)
    assert accuracy_against_cost(ranked(tmp_path)) == []


def test_the_terminal_takes_no_value_or_reason_for_markup(tmp_path):
    job(tmp_path, 0, "[cat]", 0.8, method="[red]\x1b[2J")
    job(tmp_path, 1, "dog [/us] \x1b[2J", None, status="failed")
    facts = json.loads((tmp_path / "1/job.json").read_text())
    facts["error"] = "closing tag '[/us]' \x1b]0;owned\x07"
    (tmp_path / "1/job.json").write_text(json.dumps(facts))
    shown = printed(tmp_path, 200)
    assert "model=[cat]" in shown and r"model=dog [/us] \x1b[2J" in shown
    assert r"failed: closing tag '[/us]' \x1b]0;owned\x07" in shown
    assert "\x1b" not in shown and "\x07" not in shown


@pytest.mark.parametrize(("width", "wide"), [(80, False), (150, True)])
def test_the_ranking_fits_the_terminal(tmp_path, width, wide):
    job(tmp_path, 0, "efficientnet_lite0", 0.8, test=0.7, parameters=2.5e6)
    job(tmp_path, 1, "dog", None, status="failed")
    facts = json.loads((tmp_path / "1/job.json").read_text())
    (tmp_path / "1/job.json").write_text(json.dumps(facts | {"error": "no such network " * 4}))
    text = printed(tmp_path, width)
    lines = text.splitlines()
    assert max(map(len, lines)) <= width
    (line,) = [line for line in lines if "model=efficientnet_lite0" in line]
    assert "80.0 (70.0-90.0)" in line and "70.0 (60.0-80.0)" in line
    assert ("parameters" in text) is wide and ("fitted" in line) is False
    reason = " ".join("".join(f"{line} " for line in lines[-4:]).split())
    assert "model=dog: failed: no such network no such network" in reason
