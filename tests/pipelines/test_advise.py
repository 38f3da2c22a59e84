"""The adviser on a few photos: what it does, records and says; and that it reads no test label."""

from __future__ import annotations

import json
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import mlflow
import pytest
from test_permuted_test_labels import as_override, permute, weights
from tiny_transfer import PHOTOS, draw_photos, save_weights

from graftwork.advising.rules import Training, Way
from graftwork.config.errors import UserError
from pipelines import advice_jobs, advise
from pipelines.advice_candidates import asked
from pipelines.advice_jobs import Clock, forecast

COMMON = [
    "dataset=folder", "augmentation=none", "trainer.batch_size=8", "transfer.epochs=4",
    "extraction.engine=torch", "extraction.precision=fp32", "evaluation.bootstrap_samples=100",
    "evaluation.engine=eager",
]  # fmt: skip
CHOICES = ["model=tiny_cnn", "model.input_size=32", "transfer=lp_ft"]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    found = tmp_path_factory.mktemp("advised")
    draw_photos(found / "photos", {**PHOTOS, "test": 10}, spread=60.0)
    save_weights(found / "weights.pth")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(found)
        yield found


def words(*more: str) -> list[str]:
    given = [f"dataset.path={Path('photos').absolute()}", f"model.weights={as_override(weights())}"]
    return [*COMMON, *given, *CHOICES, *more]


@pytest.fixture(scope="module")
def said(place: Path) -> tuple[list[str], dict[str, Any]]:
    """What it printed, and its record."""
    lines: list[str] = []
    advise.advise(asked(words("budget=100s")), lines.append)
    return lines, record()


def record() -> dict[str, Any]:
    newest = max(Path("runs/advise").rglob("advice.json"), key=lambda path: path.stat().st_mtime)
    found: dict[str, Any] = json.loads(newest.read_text())
    return found


def test_it_probes_trains_and_recommends(said: tuple[list[str], dict[str, Any]]) -> None:
    lines, found = said
    ways = [line for line in lines if " of tiny_cnn at " in line]
    assert ways[0] == "linear_probe of tiny_cnn at 32 px"
    assert any("lp_ft" in way and "1 of 4 epochs" in way for way in ways)
    assert any("lp_ft" in way and "of 4 epochs" not in way for way in ways)
    assert found["chosen"]["way"]["network"] == "tiny_cnn"
    assert f"transfer={found['chosen']['way']['strategy']}" in found["command"]
    assert found["expected"]["low"] <= found["expected"]["value"] <= found["expected"]["high"]
    assert {null["name"] for null in found["nulls"]} >= {"colour histogram", "16 x 16 pixels"}
    assert [row["told"] for row in found["rows"]].count("recommended") == 1


def test_all_is_recorded_under_one_run_and_no_test_was_looked_at(
    said: tuple[list[str], dict[str, Any]],
) -> None:
    client = mlflow.MlflowClient(f"sqlite:///{Path('mlflow.db').absolute()}")
    (experiment,) = [e for e in client.search_experiments() if e.name != "Default"]
    runs = client.search_runs([experiment.experiment_id])
    (parent,) = [run for run in runs if "mlflow.parentRunId" not in run.data.tags]
    children = [run for run in runs if run is not parent]
    assert len(children) == len([line for line in said[0] if " of tiny_cnn at " in line])
    assert {run.data.tags["mlflow.parentRunId"] for run in children} == {parent.info.run_id}
    assert not any(key.startswith("test/") for run in runs for key in run.data.metrics)
    assert parent.data.tags["advice"] and "expected/value" in parent.data.metrics
    names = {item.path for item in client.list_artifacts(parent.info.run_id)}
    assert {"advice.html", "advice.json"} <= names


def test_started_again_it_does_nothing_twice(
    said: tuple[list[str], dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    def never(*_: Any) -> None:
        raise AssertionError("it was done before")

    monkeypatch.setattr(advice_jobs, "_conduct", never)
    advise.advise(asked(words("budget=100s")), lambda _: None)
    assert record()["chosen"] == said[1]["chosen"] and record()["rows"] == said[1]["rows"]


def test_its_page_is_whole(said: tuple[list[str], dict[str, Any]]) -> None:
    (page,) = Path("runs/advise").rglob("advice.html")
    text = page.read_text()
    assert "<svg" in text and "src=" not in text
    assert "python -m pipelines.experiment" in text and "Rankings made before" in text


def test_too_small_a_budget_stays_with_the_probes(
    said: tuple[list[str], dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    probes = advise._probed

    def paid(desk: Any, *given: Any) -> Any:
        found = probes(desk, *given)
        desk.clock.earlier = desk.clock.budget
        return found

    monkeypatch.setattr(advise, "_probed", paid)
    advise.advise(asked(words("budget=50s")), lambda _: None)
    told = record()
    assert told["chosen"]["way"]["strategy"] == "linear_probe"
    assert any("too little for a training" in line for line in told["time"])


def test_labels_of_the_test_change_nothing(
    said: tuple[list[str], dict[str, Any]], place: Path
) -> None:
    permute(place / "photos/test")
    lines: list[str] = []
    advise.advise(asked(words("budget=100s")), lines.append)
    assert any("1 of 4 epochs" in line for line in lines), "it was all done anew"
    found = record()

    def without_time(told: dict[str, Any]) -> Any:
        rows = [(row["way"], row["score"]) for row in told["rows"]]
        return rows, told["expected"], told["nulls"], told["data"]

    assert without_time(found) == without_time(said[1])


def test_what_is_under_way_when_time_is_up_is_stopped() -> None:
    clock = Clock(10)
    with clock.until(0.05):
        time.sleep(5)
    assert clock.spent < 2
    with pytest.raises(SystemExit), clock.until(60):  # somebody else's signal
        raise SystemExit(128 + signal.SIGTERM)
    assert signal.getitimer(signal.ITIMER_REAL)[0] == 0


def test_a_forecast_follows_what_was_recorded() -> None:
    def job(network: str, epochs: int, epoch: float, guess: float) -> Any:
        training = Training(Way(network, 64, "lp_ft"), epochs)
        stages = {"download": 1.0, "prepare": 2.0, "evaluate": 3.0}
        stage = stages.__getitem__
        return SimpleNamespace(training=training, epoch=epoch, guess=guess, stage=stage)

    probe, wanted = job("a", 0, 0.0, 5.0), Training(Way("a", 64, "lp_ft"), 4)
    assert forecast(wanted, probe, [probe], 0) == pytest.approx(6 + 4 * 5)
    others = [probe, job("b", 1, 8.0, 4.0), job("c", 1, 2.0, 4.0)]  # twice the guess, and half
    assert forecast(wanted, probe, others, 2) == pytest.approx(6 + 6 * 2 * 5)
    assert forecast(wanted, probe, [*others, job("a", 1, 1.5, 5.0)], 2) == pytest.approx(6 + 9)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (["budget=soon"], "budget: 'soon' is no time. Legal: 90s, 10min, 2h"),
        (["seed=0,1"], "seed: has several values"),
        (["model=efficientnt_lite0"], "efficientnet_lite0"),
        (["selection=none"], "selection: none holds nothing out"),
    ],
)
def test_mistakes_are_named_before_any_work(given: list[str], message: str) -> None:
    with pytest.raises(UserError, match=message):
        asked(given)
