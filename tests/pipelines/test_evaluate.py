"""The stage: from a model folder and a manifest to numbers, files and a record."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import yaml
from selection_records import without_parts
from tiny_experiment import tiny_experiment

from graftwork.config.errors import UserError
from graftwork.data import manifest
from graftwork.evaluating import prediction_table as predictions
from graftwork.evaluating import several_views
from graftwork.experiment import Experiment
from graftwork.model_folder import contents as model_folder
from graftwork.models.network.tensors import part
from graftwork.process import distributed
from graftwork.profiling.timing import UNDISTURBED
from graftwork.recording import opening as tracking
from graftwork.storage.artifacts import Artifacts
from graftwork.storage.files import sha256_of
from pipelines import download, evaluate, extract_features, finetune, prepare

PROJECT = Path(__file__).parents[2]


class Recorded:
    """Stands for the MLflow run: remembers what it was given."""

    run_id = "0123"

    def __init__(self) -> None:
        self.metrics: dict[str, float] = {}
        self.tags: dict[str, str] = {}
        self.step: int | None = None
        self.cost: dict[str, Any] = {}
        self.artifacts: list[tuple[str, str]] = []
        self.model: tuple[Path, bytes] | None = None
        self.ended = False

    def log_metrics(self, values: dict[str, float], step: int = 0) -> None:
        self.metrics |= values
        self.step = step

    def set_tags(self, tags: dict[str, str]) -> None:
        self.tags |= tags

    def log_cost(self, cost: dict[str, Any]) -> None:
        self.cost = cost

    def log_artifacts(self, path: Path, folder: str = "") -> None:
        assert path.exists()
        self.artifacts.append((path.name, folder))

    def log_model(self, model: Path, example: bytes) -> None:
        self.model = (model, example)

    def __enter__(self) -> Recorded:
        return self

    def __exit__(self, *_: object) -> None:
        self.ended = True


@pytest.fixture
def recorded(monkeypatch: pytest.MonkeyPatch) -> Recorded:
    run = Recorded()
    monkeypatch.setattr(tracking, "open_run", lambda experiment, artifacts: run)
    return run


@pytest.fixture
def job(
    tmp_path: Path, tiny_params: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> Callable[..., Any]:
    """`job(*overrides)`: prepared, with a model whose probabilities are given here."""

    def make(*overrides: str) -> tuple[Experiment, Artifacts]:
        from safetensors.numpy import save_file

        artifacts = Artifacts.at(tmp_path / "job", tmp_path)
        artifacts.root.mkdir()
        params = tiny_params("evaluation.mistakes=3", *overrides)
        artifacts.params.write_text(yaml.safe_dump(params))
        experiment = Experiment.from_params(params)
        download.run(experiment, artifacts)
        prepare.run(experiment, artifacts)
        artifacts.model.mkdir()
        tensors = {"head.weight": (3, 64), "head.bias": (3,), "backbone.bn.running_mean": (8,)}
        arrays = {name: np.zeros(shape, np.float32) for name, shape in tensors.items()}
        for name in ("backbone", "head"):
            save_file(part(arrays, f"{name}."), artifacts.model / f"{name}.safetensors")
        contract = {
            "format": model_folder.FORMAT,
            "architecture": {},
            "classes": ["blue", "green", "red"],
            "input_spec": {
                "size": 8, "mean": [0], "std": [1], "interpolation": "bilinear", "crop_pct": 1,
            },
            "preprocessing": {"decoded_side": 8, "max_pixels": 1},
            "training": {
                "selection": "", "trainable_parameters": 7, "epochs": 2, "trained_share": 1.0,
            },
            "pretrained": None,
            "data_digest": "",
            "weights_sha256": {
                path.name: sha256_of(path) for path in artifacts.model.glob("*.safetensors")
            },
        }  # fmt: skip
        (artifacts.model / "model.json").write_text(json.dumps(contract))
        chose = manifest.of_split(manifest.read(artifacts.manifest), "val")
        words = "the last epoch"
        without_parts(words=words, held_out=9, fitted=24).write(artifacts.selection)
        found = wrong_in_four(chose)
        predictions.write(artifacts.held_out, chose, contract["classes"], found)
        artifacts.history.write_text("epoch,train/loss,val/top1\n1,2.0,0.5\n2,1.0,0.75\n")
        artifacts.cost("prepare").parent.mkdir()
        artifacts.cost("prepare").write_text('{"seconds": 12.5, "peak_mib": 99999.0}')
        monkeypatch.setattr(several_views, "answering", Network)
        return experiment, artifacts

    return make


class Network:
    """Stands for the trained network: wrong in four, and in further views as a test says."""

    entry = {
        **{"engine": "openvino", "precision": "bf16", "cosine": 1.0, "lowest_cosine": 0.5},
        **{"pictures": 15, "differing": 2, "tie": 0.25, "asked_again": 3},
    }

    def __init__(self, *_: object) -> None:
        pass

    def probabilities(self, frame: Any, view: Any = None) -> np.ndarray:
        return wrong_in_four(frame) if view is None else self.of_view(frame)

    def of_view(self, frame: Any) -> np.ndarray:
        """Everything is right, of the first two for sure."""
        right = np.eye(3)[frame["label"].to_numpy()]
        sure = np.where(np.arange(len(frame)) < 2, 1.0, 0.5)[:, None]
        return sure * right + (1 - sure) / 3


def wrong_in_four(frame: Any) -> np.ndarray:
    """Right but for the first four pictures, which are taken for the next class."""
    labels = frame["label"].to_numpy()
    predicted = np.where(np.arange(len(frame)) < 4, (labels + 1) % 3, labels)
    return np.full((len(frame), 3), 0.1, np.float32) + 0.7 * np.eye(3, dtype=np.float32)[predicted]


def test_everything_is_written(
    job: Callable[..., Any], recorded: Recorded, capsys: pytest.CaptureFixture[str]
) -> None:
    experiment, artifacts = job()
    evaluate.run(experiment, artifacts)
    printed = capsys.readouterr().out

    metrics = json.loads(artifacts.metrics.read_text())
    assert list(metrics) == [
        "title", "confidence", "selection", "test", "start", "views", "engine", "cost", "run_id",
    ]  # fmt: skip
    chose = metrics["selection"]
    assert (chose["method"], chose["held_out"], chose["fitted"]) == ("matched", 9, 24)
    assert chose["words"] == "the last epoch" and chose["why"]
    assert (chose["scores"]["top1"]["value"], chose["scores"]["top1"]["n"]) == (5 / 9, 9)
    assert list(chose["scores"]) == list(metrics["test"])
    assert metrics["views"] is None and not any("views" in name for name in recorded.metrics)
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

    predicted = pd.read_parquet(artifacts.predictions)
    test = manifest.of_split(manifest.read(artifacts.manifest), "test")
    assert predicted["sha256"].tolist() == test["sha256"].tolist()
    assert (predicted["class"] != predicted["predicted"]).sum() == 4

    assert {path.name for path in artifacts.plots.iterdir()} == {
        "intervals.svg", "confusion.svg", "classes.svg", "calibration.svg", "training.svg",
        "confusion.csv", "per_class.csv",
    }  # fmt: skip
    html = artifacts.report.read_text()
    assert html.count("<figure>") == 3
    assert "3 of 4 pictures" in html
    assert "The last epoch." in html
    assert "bootstrap_samples: 100" in html
    assert "The network, 3 × 32 × 32" in html
    for group in ("stem", "stages.0", "stages.1", "head"):
        assert f'<td class="code shape">{group}</td>' in html

    assert recorded.metrics["test/top1_low"] == top1["low"]
    assert recorded.metrics["selection/top1"] == 5 / 9
    assert {"selection/top1_low", "selection/top1_high", "selection/log_loss"} <= set(
        recorded.metrics
    )
    disturbed = str(cost["machine"] != UNDISTURBED).lower()
    assert recorded.tags == {
        **{"selection.method": "matched", "cost.disturbed": disturbed},
        **{"evaluation.engine": "openvino", "evaluation.precision": "bf16"},
        **{"evaluation.tie": "0.25", "evaluation.asked_again": "3"},
        **{"evaluation.cosine": "1.0", "evaluation.lowest_cosine": "0.5"},
        **{"evaluation.pictures": "15", "evaluation.differing": "2"},
    }
    assert metrics["engine"] == Network.entry
    told = "openvino in bf16 (3 near ties again in fp32); of the first 15 test pictures 2 got"
    assert told in html and told in " ".join(printed.split())
    assert {("selection.json", ""), ("held_out.parquet", "")} <= set(recorded.artifacts)
    assert recorded.step == 2  # behind the epochs of a test curve of the same name
    assert recorded.cost == cost
    assert ("report.html", "") in recorded.artifacts
    assert ("plots", "plots") in recorded.artifacts
    assert recorded.model is not None
    assert recorded.model[1].startswith(b"\xff\xd8")  # a JPEG
    assert recorded.ended
    assert "73.3\u202f%" in printed
    assert str(artifacts.report) in printed


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


@pytest.mark.usefixtures("quiet_machine")
def test_a_second_evaluation_reads_what_the_network_costs(
    job: Callable[..., Any], recorded: Recorded, monkeypatch: pytest.MonkeyPatch
) -> None:
    from graftwork.profiling import profile, speed

    experiment, artifacts = job()
    evaluate.run(experiment, artifacts)
    first = recorded.cost
    assert 0 < first["latency_ms"] < 1000 and first["energy_mj_per_image"] > 0
    monkeypatch.setattr(profile, "static_profile", lambda *_: pytest.fail("counted again"))
    monkeypatch.setattr(speed, "quick_speed", lambda *_, **__: pytest.fail("measured again"))
    evaluate.run(experiment, artifacts)
    names = ("macs", "activation_mib", "latency_ms", "energy_mj_per_image", "energy_source")
    assert [recorded.cost[name] for name in names] == [first[name] for name in names]


@pytest.mark.usefixtures("quiet_machine")
def test_a_probe_is_evaluated_without_torch_once_the_network_is_known(
    tmp_path: Path, tiny_params: Callable[..., Any]
) -> None:
    probe = ("transfer=linear_probe", "transfer/start=random", "tracking.log_model=false")
    experiment, artifacts = tiny_experiment(tiny_params(*probe), tmp_path / "probe")
    for done in (extract_features, finetune, evaluate):
        done.run(experiment, artifacts)
    first = json.loads(artifacts.metrics.read_text())["cost"]
    code = (
        "import sys; from pipelines import evaluate, stage; stage.main(evaluate.run)\n"
        "print(sorted({'torch', 'timm', 'pytorch_lightning', 'sklearn'} & set(sys.modules)))"
    )
    paths = os.pathsep.join([str(PROJECT), str(PROJECT / "src")])
    command = [sys.executable, "-c", code, "--root", str(artifacts.root)]
    environment = {**os.environ, "PYTHONPATH": paths}
    done = subprocess.run(command, env=environment, check=True, text=True, stdout=subprocess.PIPE)
    assert done.stdout.splitlines()[-1] == "[]"
    again = json.loads(artifacts.metrics.read_text())["cost"]
    for name in ("macs", "activation_mib", "latency_ms", "energy_mj_per_image"):
        assert again[name] == first[name] > 0


def test_the_model_is_recorded_only_if_wanted(job: Callable[..., Any], recorded: Recorded) -> None:
    evaluate.run(*job("tracking.log_model=false", "evaluation.mistakes=0"))
    assert recorded.model is None
    assert recorded.ended


def test_a_sweeps_job_leaves_the_test_to_the_winner(
    job: Callable[..., Any],
    recorded: Recorded,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    experiment, artifacts = job()
    artifacts.predictions.write_text("of an earlier job in this folder")
    monkeypatch.setenv(evaluate.TEST, "later")
    with monkeypatch.context() as patched:
        patched.setattr(several_views, "answering", lambda *_: pytest.fail("looked"))
        evaluate.run(experiment, artifacts)
    metrics = json.loads(artifacts.metrics.read_text())
    assert metrics["test"] == {} and "test" not in metrics["cost"]["images_per_second"]
    assert metrics["cost"]["parameters"] == 195 and recorded.cost == metrics["cost"]
    assert not artifacts.predictions.exists() and recorded.model is not None
    assert not any(name.startswith("test/") for name in recorded.metrics)
    assert (artifacts.plots / "calibration.svg").exists()  # of those held out
    assert "The test was not looked at." in (html := artifacts.report.read_text())
    assert "The last epoch." in html and "Held-out pictures by class" in html
    assert "the test was not looked at" in " ".join(capsys.readouterr().out.split())

    monkeypatch.delenv(evaluate.TEST)  # as the sweep's end does for the winner
    evaluate.run(experiment, artifacts)
    assert json.loads(artifacts.metrics.read_text())["test"]["top1"]["n"] == 15
    assert "test/top1" in recorded.metrics and artifacts.predictions.exists()
    assert "Where it errs" in artifacts.report.read_text()


@pytest.mark.parametrize("override", ["evaluation.test_in_sweeps=all", "selection=none"])
def test_where_nothing_is_chosen_every_test_is_looked_at(
    job: Callable[..., Any], recorded: Recorded, monkeypatch: pytest.MonkeyPatch, override: str
) -> None:
    monkeypatch.setenv(evaluate.TEST, "later")
    evaluate.run(*job(override))
    assert "test/top1" in recorded.metrics


def test_no_test_pictures(job: Callable[..., Any], recorded: Recorded) -> None:
    experiment, artifacts = job()
    frame = pd.read_parquet(artifacts.manifest)
    frame[frame["split"] != "test"].to_parquet(artifacts.manifest)
    with pytest.raises(UserError, match="test split.*test_fraction=0.2"):
        evaluate.run(experiment, artifacts)


def test_several_processes_only_where_the_network_runs(
    job: Callable[..., Any], recorded: Recorded, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []
    monkeypatch.setattr(distributed, "relaunched", lambda *args: asked.append(args) or True)
    experiment, artifacts = job("trainer.processes=2")
    evaluate.run(experiment, artifacts)
    assert asked == [(2, artifacts, "pipelines.evaluate")]
    assert not artifacts.metrics.exists()  # the new processes write


def test_only_the_first_process_writes(
    job: Callable[..., Any], recorded: Recorded, monkeypatch: pytest.MonkeyPatch
) -> None:
    experiment, artifacts = job("trainer.processes=2")
    monkeypatch.setattr(distributed, "relaunched", lambda *_: False)
    monkeypatch.setattr(distributed, "rank", lambda: 1)
    evaluate.run(experiment, artifacts)
    assert not artifacts.metrics.exists()
    assert not recorded.ended
