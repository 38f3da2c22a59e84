from __future__ import annotations

import io
import json
import math
from pathlib import Path

import pandas as pd
import pytest
import yaml
from rich.console import Console

from graftwork import manifest
from graftwork.artifacts import Artifacts
from pipelines.ranking import accuracy_against_cost, as_html, ranking, table


def job(folder: Path, number: int, network: str, top1: float | None, sha: str, **cost: float):
    artifacts = Artifacts.at(folder / str(number))
    artifacts.metrics.parent.mkdir(parents=True)
    status = "failed" if top1 is None else "finished"
    facts = {"job": number, "differs": f"model={network}", "status": status, "error": "a <bad> one"}
    (artifacts.root / "job.json").write_text(json.dumps(facts))
    top1_defined = {"_target_": "graftwork.metrics.accuracy.TopK", "k": 1, "higher_is_better": True}
    params = {
        "model": {"name": network},
        "dataset": {"name": "fruit"},
        "evaluation": {"metrics": {"top1": top1_defined}},
    }
    artifacts.params.write_text(yaml.safe_dump(params))
    if top1 is not None:
        found = {"value": top1, "low": top1 - 0.1, "high": top1 + 0.1, "n": 9}
        result = {"test": {"top1": found}, "cost": {**cost, "seconds": {"finetune": 7.0 + number}}}
        artifacts.metrics.write_text(json.dumps(result))
    row = {"path": "p", "label": 0, "class": "a", "split": "test", "sha256": sha, "width": 1}
    row |= {"height": 1, "verdict": "ok", "group": "", "taken": math.nan}
    manifest.write(pd.DataFrame([row]), artifacts.manifest)


@pytest.fixture
def sweep(tmp_path: Path) -> Path:
    job(tmp_path, 0, "resnet50", 0.8, "same", macs=4e9, parameters=2.5e7)
    job(tmp_path, 1, "mobilenetv2", 0.7, "same", macs=3e8, parameters=3.5e6)
    job(tmp_path, 2, "vgg16", None, "same")
    job(tmp_path, 3, "vit_small", 0.9, "other", macs=4e9, parameters=2e7)
    return tmp_path


def test_jobs_on_the_same_pictures_are_drawn_together(sweep):
    (section,) = accuracy_against_cost(ranking(sweep), sweep)
    assert section.heading.startswith("Top-1 accuracy on fruit (test set ")
    assert section.sentences == ["No run has recorded: latency, energy."]
    assert len(section.pictures) == 3  # macs, parameters, seconds
    for picture in section.pictures:
        assert "resnet50: 80.0 (70.0 to 90.0) %" in picture and "mobilenetv2" in picture
        assert "vit_small" not in picture and "vgg16" not in picture


def test_the_page_has_ranking_and_pictures(sweep):
    rows = ranking(sweep)
    page = as_html(rows, "model=<all>", accuracy_against_cost(rows, sweep))
    assert page.startswith("<!doctype html>") and page.count("<svg") == 3
    assert "model=&lt;all&gt;" in page and "failed: a &lt;bad&gt; one" in page
    places = [page.index(f"model={name}</td>") for name in ("vit_small", "resnet50", "mobilenetv2")]
    assert places == sorted(places)


def test_nothing_is_drawn_of_a_single_job_or_of_failures(tmp_path):
    assert accuracy_against_cost(ranking(tmp_path), tmp_path) == []
    job(tmp_path, 0, "resnet50", 0.8, "same", macs=4e9)
    job(tmp_path, 1, "vgg16", None, "same")
    assert accuracy_against_cost(ranking(tmp_path), tmp_path) == []


def test_the_terminal_takes_no_value_or_reason_for_markup(tmp_path):
    job(tmp_path, 0, "[cat]", 0.8, "same")
    job(tmp_path, 1, "dog [/us] \x1b[2J", None, "same")
    facts = json.loads((tmp_path / "1/job.json").read_text())
    facts["error"] = "closing tag '[/us]' \x1b]0;owned\x07"
    (tmp_path / "1/job.json").write_text(json.dumps(facts))
    out = io.StringIO()
    Console(file=out, width=200).print(table(ranking(tmp_path), 200))
    shown = out.getvalue()
    assert "model=[cat]" in shown and r"model=dog [/us] \x1b[2J" in shown
    assert r"failed: closing tag '[/us]' \x1b]0;owned\x07" in shown
    assert "\x1b" not in shown and "\x07" not in shown


@pytest.mark.parametrize(("width", "wide"), [(80, False), (140, True)])
def test_the_ranking_fits_the_terminal(tmp_path, width, wide):
    job(tmp_path, 0, "efficientnet_lite0", 0.8, "same")
    job(tmp_path, 1, "dog", None, "same")
    facts = json.loads((tmp_path / "1/job.json").read_text())
    (tmp_path / "1/job.json").write_text(json.dumps(facts | {"error": "no such network " * 4}))
    out = io.StringIO()
    Console(file=out, width=width).print(table(ranking(tmp_path), width))
    lines = out.getvalue().splitlines()
    assert max(map(len, lines)) <= width
    assert any("model=efficientnet_lite0" in line and "80.0" in line for line in lines)
    assert ("parameters" in out.getvalue()) is wide
    reason = " ".join("".join(f"{line} " for line in lines[-4:]).split())
    assert "model=dog: failed: no such network no such network" in reason
