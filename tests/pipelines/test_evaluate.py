"""The stage: from a model folder and a manifest to numbers, files and a record."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pandas as pd
import pytest
from evaluated_job import Network, Recorded

from graftwork.config.errors import UserError
from graftwork.data import manifest
from graftwork.profiling.timing import UNDISTURBED
from graftwork.storage.artifacts import Artifacts
from pipelines import evaluate


def test_everything_is_written(
    job: Callable[..., Any], recorded: Recorded, capsys: pytest.CaptureFixture[str]
) -> None:
    experiment, artifacts = job()
    evaluate.run(experiment, artifacts)
    printed, html = capsys.readouterr().out, artifacts.report.read_text()
    metrics = json.loads(artifacts.metrics.read_text())
    check_metrics(metrics)
    check_files(artifacts, html)
    check_recorded(recorded, metrics)
    told = "openvino in bf16 (3 near ties again in fp32); of the first 15 test pictures 2 got"
    assert told in html and told in " ".join(printed.split())
    assert "73.3\u202f%" in printed
    assert str(artifacts.report) in printed


def check_metrics(metrics: dict[str, Any]) -> None:
    assert list(metrics) == [
        "title", "confidence", "selection", "test", "start", "views", "engine", "cost", "run_id",
    ]  # fmt: skip
    chose = metrics["selection"]
    assert (chose["method"], chose["held_out"], chose["fitted"]) == ("matched", 9, 24)
    assert chose["words"] == "the last epoch" and chose["why"]
    assert (chose["scores"]["top1"]["value"], chose["scores"]["top1"]["n"]) == (5 / 9, 9)
    assert list(chose["scores"]) == list(metrics["test"])
    assert metrics["views"] is None
    assert metrics["start"] is None  # nothing else that training began from
    top1 = metrics["test"]["top1"]
    assert (top1["value"], top1["n"]) == (pytest.approx(11 / 15), 15)
    assert top1["low"] < 11 / 15 < top1["high"]
    assert "top5" not in metrics["test"]  # three classes
    assert metrics["run_id"] == "0123"
    cost = metrics["cost"]
    assert list(cost["seconds"]) == ["prepare", "evaluate"]
    assert (cost["peak_mib"], cost["parameters"], cost["trainable_parameters"]) == (99999, 195, 7)
    # tiny_cnn at 32 px: three convolutions and a head of three.
    assert cost["macs"] == 256 * 27 * 16 + 64 * 144 * 32 + 16 * 288 * 64 + 64 * 3
    assert cost["activation_mib"] == pytest.approx(0.055, abs=0.001)
    assert metrics["engine"] == Network.entry


def check_files(artifacts: Artifacts, html: str) -> None:
    predicted = pd.read_parquet(artifacts.predictions)
    test = manifest.of_split(manifest.read(artifacts.manifest), "test")
    assert predicted["sha256"].tolist() == test["sha256"].tolist()
    assert (predicted["class"] != predicted["predicted"]).sum() == 4

    assert {path.name for path in artifacts.plots.iterdir()} == {
        "intervals.svg", "confusion.svg", "classes.svg", "calibration.svg", "training.svg",
        "confusion.csv", "per_class.csv",
    }  # fmt: skip
    assert html.count("<figure>") == 3
    assert "3 of 4 pictures" in html
    assert "The last epoch." in html
    assert "bootstrap_samples: 100" in html
    assert "The network, 3 × 32 × 32" in html
    for group in ("stem", "stages.0", "stages.1", "head"):
        assert f'<td class="code shape">{group}</td>' in html


def check_recorded(recorded: Recorded, metrics: dict[str, Any]) -> None:
    assert not any("views" in name for name in recorded.metrics)
    assert recorded.metrics["test/top1_low"] == metrics["test"]["top1"]["low"]
    assert recorded.metrics["selection/top1"] == 5 / 9
    assert {"selection/top1_low", "selection/top1_high", "selection/log_loss"} <= set(
        recorded.metrics
    )
    disturbed = str(metrics["cost"]["machine"] != UNDISTURBED).lower()
    assert recorded.tags == {
        **{"selection.method": "matched", "cost.disturbed": disturbed},
        **{"evaluation.engine": "openvino", "evaluation.precision": "bf16"},
        **{"evaluation.tie": "0.25", "evaluation.asked_again": "3"},
        **{"evaluation.cosine": "1.0", "evaluation.lowest_cosine": "0.5"},
        **{"evaluation.pictures": "15", "evaluation.differing": "2"},
    }
    assert {("selection.json", ""), ("held_out.parquet", "")} <= set(recorded.artifacts)
    assert recorded.step == 2  # behind the epochs of a test curve of the same name
    assert recorded.cost == metrics["cost"]
    assert ("report.html", "") in recorded.artifacts
    assert ("plots", "plots") in recorded.artifacts
    assert recorded.model is not None
    assert recorded.model[1].startswith(b"\xff\xd8")  # a JPEG
    assert recorded.ended


def test_several_views_stand_beside_one(
    job: Callable[..., Any], recorded: Recorded, capsys: pytest.CaptureFixture[str]
) -> None:
    """Of the second view everything is right: the mean of both mistakes two of four."""
    experiment, artifacts = job("evaluation.views=2")

    evaluate.run(experiment, artifacts)
    metrics = json.loads(artifacts.metrics.read_text())
    views, seconds = metrics["views"], metrics["views"]["seconds"]
    assert views["count"] == 2 and views["mirrors"] == ["left_right"]
    assert metrics["test"]["top1"]["value"] == pytest.approx(13 / 15)
    assert views["one"]["top1"]["value"] == pytest.approx(11 / 15)
    assert views["gain"]["top1"]["value"] == pytest.approx(2 / 15)
    assert recorded.metrics["views/top1_gain"] == views["gain"]["top1"]["value"]
    assert recorded.metrics["views/top1_gain_low"] == views["gain"]["top1"]["low"]
    assert recorded.metrics["views/count"] == 2
    assert recorded.metrics["views/seconds_all"] == seconds["all"] > seconds["one"]
    assert metrics["cost"]["images_per_second"]["test"] == views["images_per_second"]["all"]
    predicted = pd.read_parquet(artifacts.predictions)
    assert (predicted["class"] != predicted["predicted"]).sum() == 2
    html = artifacts.report.read_text()
    assert "Several views of a picture" in html and "some mirrored left and right" in html
    assert "+13.3\u202fpoints" in html and "the selection score is of one view" in html
    assert '<td class="n">73.3\u202f%</td>' in html  # beside what chose: by one view
    shown = " ".join(capsys.readouterr().out.split())
    assert "views 2 of each test picture: Top-1 accuracy +13.3 points" in shown


def test_the_model_is_recorded_only_if_wanted(job: Callable[..., Any], recorded: Recorded) -> None:
    evaluate.run(*job("tracking.log_model=false", "evaluation.mistakes=0"))
    assert recorded.model is None
    assert recorded.ended


def test_no_test_pictures(job: Callable[..., Any], recorded: Recorded) -> None:
    experiment, artifacts = job()
    frame = pd.read_parquet(artifacts.manifest)
    frame[frame["split"] != "test"].to_parquet(artifacts.manifest)
    with pytest.raises(UserError, match="test split.*test_fraction=0.2"):
        evaluate.run(experiment, artifacts)


def test_a_store_of_runs_that_is_away_costs_no_scores(
    job: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    experiment, artifacts = job()

    def away(*_: object) -> None:
        raise UserError("tracking.uri: the store cannot be used")

    monkeypatch.setattr("graftwork.recording.opening.open_run", away)
    with pytest.raises(UserError, match="cannot be used"):
        evaluate.run(experiment, artifacts)
    assert json.loads(artifacts.metrics.read_text())["test"]["top1"]["n"] == 15
    assert artifacts.report.is_file() and artifacts.predictions.is_file()
