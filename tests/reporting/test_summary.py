from __future__ import annotations

import io
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from rich.console import Console
from selection_records import record

from graftwork.config.errors import UserError
from graftwork.metrics.accuracy import BalancedAccuracy, TopK
from graftwork.metrics.log_loss import LogLoss
from graftwork.reporting import summary
from graftwork.selecting.record import GoneBack
from graftwork.storage.artifacts import Artifacts


def test_the_result_survives_a_pipe(tmp_path: Path) -> None:
    """No terminal, 80 columns: complete paths, no colours, names that are no markup."""
    out = io.StringIO()
    artifacts = Artifacts.at(tmp_path / ("deep/" * 20))
    result = {
        "test": {
            "top1": {"value": 0.8426, "low": 0.813, "high": 0.871, "n": 661},
            "log_loss": {"value": 0.5, "low": 0.4, "high": 0.62, "n": 661},
        },
        "cost": {
            "seconds": {"prepare": 4.0, "finetune": 130.0},
            "peak_mib": 1432.6,
            "parameters": 3389418,
            "trainable_parameters": 17934,
        },
        "run_id": "0123abcd",
    }
    metrics = {"top1": TopK(True, 1), "log_loss": LogLoss(False)}
    summary.show(
        result, metrics, 0.95, "a · [bold]b[/us]\x1b[2J", artifacts, Console(file=out, width=80)
    )
    text = out.getvalue()
    assert "84.3\u202f%" in text
    assert "81.3 to 87.1\u202f%" in text
    assert "0.400 to 0.620" in text
    assert "95 % interval" in text
    assert "661 test pictures" in text
    assert "2\u202fmin 14\u202fs" in text
    assert "1\u202f433" in text
    assert "(17\u202f934 trained)" in text
    assert str(artifacts.report) in text
    assert "0123abcd in MLflow; to open its pages: graftwork ui" in text
    assert r"[bold]b[/us]\x1b[2J" in text
    assert "\x1b" not in text


def test_a_perfect_score_on_few_pictures_is_not_sold_as_certain(tmp_path: Path) -> None:
    out = io.StringIO()
    cost = {"seconds": {}, "peak_mib": 1.0, "parameters": 3, "trainable_parameters": 3}
    score = {"value": 1.0, "low": 1.0, "high": 1.0, "n": 2}
    result = {"test": {"top1": score}, "cost": cost, "run_id": "0123"}
    summary.show(
        result,
        {"top1": TopK(True, 1)},
        0.95,
        "a",
        Artifacts.at(tmp_path),
        Console(file=out, width=80),
    )
    text = " ".join(out.getvalue().split())
    assert "With 2 pictures, an error rate of up to 77.6 % is compatible" in text


SCORE = {"value": 1.0, "low": 0.985, "high": 1.0, "n": 661}
COST = {"seconds": {}, "peak_mib": 1.0, "parameters": 3, "trainable_parameters": 3}
METRICS = {"top1": TopK(True, 1), "balanced": BalancedAccuracy(True), "log_loss": LogLoss(False)}


def chosen(**changes: Any) -> dict[str, Any]:
    """A result with a selection score."""
    scores = {name: SCORE | {"n": 146} for name in METRICS}
    selection = {"method": "matched", "why": "w", "words": "w", "held_out": 146, "fitted": 10732}
    start = {"selection": {"top1": SCORE | {"value": 0.84}}, "test": {"top1": SCORE}}
    result = {"test": {name: SCORE for name in METRICS}, "cost": COST, "run_id": "0123"}
    return result | {"selection": selection | {"scores": scores}, "start": start} | changes


def printed(tmp_path: Path, result: dict[str, Any]) -> str:
    out = io.StringIO()
    console = Console(file=out, width=80)
    summary.show(result, METRICS, 0.95, "a", Artifacts.at(tmp_path), console)
    return out.getvalue()


def test_the_selection_score_stands_beside_the_test_score(tmp_path: Path) -> None:
    lines = printed(tmp_path, chosen()).splitlines()
    head = next(line for line in lines if "metric" in line)
    assert head.index("selection") < head.index("test")
    assert head.count("95 % interval") == 2
    row = next(line for line in lines if "Balanced accuracy" in line)
    assert row.count("98.5 to 100.0\u202f%") == 2  # on one line of 80 characters
    text = "\n".join(lines)
    assert "146 held-out pictures; 661 test pictures" in text
    assert "chosen  matched: 146 pictures held out, 10\u202f732 fitted" in lines
    assert "start   began from a probe at 100.0\u202f% (test), 84.0\u202f% (selection)" in lines
    above = [line for line in lines if "report" not in line]  # paths may be longer
    assert max(map(len, above)) <= 80


def test_the_widest_scores_fit_in_80_characters(tmp_path: Path) -> None:
    perfect = {name: SCORE | {"low": 1.0} for name in METRICS}
    result = chosen(test=perfect)
    result["selection"]["scores"] = perfect
    lines = printed(tmp_path, result).splitlines()
    row = next(line for line in lines if line.strip().startswith("Balanced"))
    assert row.count("100.0 to 100.0\u202f%") == 2 and len(row) <= 80


def test_a_sweep_job_whose_test_nobody_looked_at(tmp_path: Path) -> None:
    text = printed(tmp_path, chosen(test={}, start={"selection": {"top1": SCORE}, "test": {}}))
    table, _, rest = text.partition("146 held-out pictures")
    assert "selection" in table and "test" not in table
    assert "the test was not looked at (of a sweep's jobs only the winner's is" in rest
    assert "began from a probe at 100.0\u202f% (selection)" in text


def test_nothing_held_out_and_nothing_measured(tmp_path: Path) -> None:
    nothing = {"method": "none", "held_out": 0, "fitted": 732, "scores": {}}
    text = printed(tmp_path, chosen(selection=nothing, start=None))
    assert "not looked at" not in text
    assert "selection" not in text and "start  " not in text
    assert "chosen  none: nothing was held out, 732 pictures fitted" in text
    text = printed(tmp_path, chosen(selection=nothing, start=None, test={}))
    assert "the test was not looked at" in text and "interval" not in text


def test_a_destroyed_network_is_not_passed_over(tmp_path: Path) -> None:
    assert "Training destroyed" not in printed(tmp_path, chosen())
    attempt = GoneBack(1, 23, 1.25, 0.09, 1.0)
    path = Artifacts.at(tmp_path).selection
    record(gone_back=[attempt]).write(path)
    text = " ".join(printed(tmp_path, chosen()).split())
    assert "Training destroyed the network. Attempt 1: at step 23 the loss was 1.25 nats" in text
    assert "was kept" not in text
    record(gone_back=[attempt], ended_as_start=True).write(path)
    text = " ".join(printed(tmp_path, chosen()).split())
    assert "What training began from was kept" in text


def test_a_result_on_disk(tmp_path: Path, tiny_params: Callable[..., Any]) -> None:
    artifacts = Artifacts.at(tmp_path)
    with pytest.raises(UserError, match="metrics.json: no such file"):
        summary.show_results(artifacts)
    params = tiny_params()
    params["dataset"]["path"] = "/nowhere/any/more"
    artifacts.params.write_text(yaml.safe_dump(params))
    score = {"value": 0.5, "low": 0.25, "high": 0.75, "n": 12}
    cost = {"seconds": {}, "peak_mib": 1.0, "parameters": 3, "trainable_parameters": 3}
    scores = {"top1": score, "since_removed": score}
    result = {"title": "what was run", "confidence": 0.9, "test": scores}
    result |= {"cost": cost, "run_id": "0123"}
    artifacts.metrics.parent.mkdir()
    artifacts.metrics.write_text(json.dumps(result))
    out = io.StringIO()
    summary.show_results(artifacts, Console(file=out, width=80))
    # As it was run: params.yaml may have been changed since.
    assert "what was run" in out.getvalue()
    assert "90 % interval" in out.getvalue()
    assert "25.0 to 75.0\u202f%" in out.getvalue()


def test_the_newest_result_is_found_wherever_it_is(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no result here, nor in runs/.*--root"):
        summary.newest(tmp_path)
    folders = [".", "runs/x", "runs/2026-01-01/12-00_a_b", "runs/2026-01-01/13-00_sweep/1"]
    for age, folder in enumerate(folders):
        metrics = Artifacts.at(tmp_path / folder).metrics
        metrics.parent.mkdir(parents=True)
        metrics.touch()
        os.utime(metrics, (age, age))
        assert summary.newest(tmp_path) == tmp_path / folder


def test_what_it_takes_of_the_disk_is_told(tmp_path: Path) -> None:
    artifacts = Artifacts.at(tmp_path)
    for path, size in (
        *((artifacts.model / "head.safetensors", 2000), (artifacts.report, 500)),
        *((artifacts.manifest, 300), (artifacts.cost("prepare"), 200)),
        (artifacts.store / "features" / "of_all.bin", 9000),  # the project's, not this run's
    ):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(bytes(size))
    assert "disk    3.0 kB of its own\n" in printed(tmp_path, chosen())
    (artifacts.store / "backbone").write_bytes(bytes(5000))
    os.link(artifacts.store / "backbone", artifacts.model / "backbone.safetensors")
    lines = printed(tmp_path, chosen()).splitlines()
    assert (
        "disk    3.0 kB of its own; 5.0 kB shared with MLflow's record and perhaps the store"
        in lines
    )
