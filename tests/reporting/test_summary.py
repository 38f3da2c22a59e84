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

from graftwork.artifacts import Artifacts
from graftwork.errors import UserError
from graftwork.metrics.accuracy import TopK
from graftwork.metrics.log_loss import LogLoss
from graftwork.reporting import summary


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
    assert "81.3\u202f% to 87.1\u202f%" in text
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
    assert "25.0\u202f% to 75.0\u202f%" in out.getvalue()


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
