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
import pandas as pd
import pytest
from test_permuted_test_labels import as_override, permute, weights
from tiny_transfer import PHOTOS, draw_photos, save_weights

from graftwork.advising import rules
from graftwork.advising.rules import PROBE, Way
from graftwork.config.errors import UserError
from pipelines import advice_jobs, advise
from pipelines.advice_candidates import Asked, asked
from pipelines.advice_found import Found
from pipelines.advice_jobs import Clock, Desk, forecast, work

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
    return advised(100), record()


def advised(budget: float) -> list[str]:
    lines: list[str] = []
    advise.advise(asked(words(f"budget={budget}s")), lines.append, Clock(budget))
    return lines


def record() -> dict[str, Any]:
    newest = max(Path("runs/advise").rglob("advice.json"), key=lambda path: path.stat().st_mtime)
    found: dict[str, Any] = json.loads(newest.read_text())
    return found


def test_it_probes_trains_and_recommends(said: tuple[list[str], dict[str, Any]]) -> None:
    lines, found = said
    ways = [line for line in lines if " of tiny_cnn at " in line]
    assert [way.split(",")[0] for way in ways] == [
        "linear_probe of tiny_cnn at 32 px",
        "lp_ft of tiny_cnn at 32 px",
    ]
    chosen = found["chosen"]
    assert chosen["way"]["network"] == "tiny_cnn" and chosen["tried"]
    assert f"transfer={chosen['way']['strategy']}" in found["command"]
    assert 0 < chosen["low"] < chosen["score"] < chosen["high"] < 1
    assert "measured here" in found["basis"]
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
    assert parent.data.tags["advice"] and "expected/score" in parent.data.metrics
    names = {item.path for item in client.list_artifacts(parent.info.run_id)}
    assert {"advice.html", "advice.json"} <= names


def test_started_again_it_does_nothing_twice(
    said: tuple[list[str], dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    def never(*_: Any) -> None:
        raise AssertionError("it was done before")

    monkeypatch.setattr(advice_jobs, "_conduct", never)
    advised(100)
    assert without_time(record()) == without_time(said[1])


def test_its_page_is_whole(said: tuple[list[str], dict[str, Any]]) -> None:
    (page,) = Path("runs/advise").rglob("advice.html")
    text = page.read_text()
    assert "<svg" in text and "src=" not in text
    assert "python -m pipelines.experiment" in text and "Rankings made before" in text


def without_time(told: dict[str, Any]) -> Any:
    rows = [(row["standing"]["way"], row["standing"]["score"], row["told"]) for row in told["rows"]]
    return told["command"], rows, told["basis"], told["nulls"], told["data"]


def test_what_was_not_trained_for_want_of_time_may_be_recommended_and_is_said_to_be(
    said: tuple[list[str], dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    look = advise.look

    def paid(seen: Any, best: Any, probes: Any, clock: Clock) -> None:
        look(seen, best, probes, clock)
        clock.earlier = clock.budget

    monkeypatch.setattr(advise, "look", paid)
    advised(50)
    told = record()
    assert told["chosen"]["way"]["strategy"] == "lp_ft" and not told["chosen"]["tried"]
    assert "transfer=lp_ft" in told["command"]
    assert told["basis"].startswith("not trained: there was no time; expected from linear_probe")
    assert told["rows"][0]["told"] == "recommended, not trained here"
    (page,) = Path("runs/advise").rglob("advice.html")
    assert "not trained: there was no time" in page.read_text()


def test_labels_of_the_test_change_nothing(
    said: tuple[list[str], dict[str, Any]], place: Path
) -> None:
    permute(place / "photos/test")
    lines = advised(100)
    assert any("lp_ft" in line for line in lines), "it was all done anew"
    assert without_time(record()) == without_time(said[1])


def stand_in(monkeypatch: pytest.MonkeyPatch, over: float, budget: float) -> Found:
    """Jobs take `over` times what is forecast; the clock stops what is under way at its end."""
    at = [10.0]  # imports
    ways = [Way(net, px, name) for net in "abc" for px in (48, 64) for name in (PROBE, "lp_ft")]
    guesses = {way: 2.0 if way.strategy == PROBE else 20.0 for way in ways}

    class StandIn(Desk):
        def run(self, way: Way) -> Any:
            spent = at[0] + over * (guesses[way] + 3.0)
            at[0] = min(spent, self.clock.budget)
            if spent <= self.clock.budget:
                took = over * (guesses[way] + 3.0)
                self.done[way] = SimpleNamespace(  # type: ignore[assignment]
                    way=way, took=took, at_work=over * guesses[way], score=0.5, stage=lambda _: 1.0
                )
            return self.done.get(way)

    desk = StandIn(Path(), Path(), [], Clock(budget, begun=0.0, now=lambda: at[0]))
    found = Found(desk, Asked([], [], [], [], budget, rules.GAINS), guesses, {PROBE: 0, "lp_ft": 9})
    monkeypatch.setattr(Found, "of", lambda *_: found)
    monkeypatch.setattr(Found, "believed", lambda _: rules.before(ways, rules.GAINS))
    monkeypatch.setattr(Found, "leader", None)
    monkeypatch.setattr(advise, "look", lambda *_: None)
    monkeypatch.setattr(advise, "on_shared_folds", lambda *_: pd.DataFrame([1.0]))
    return found


@pytest.mark.parametrize("over", [0.5, 1.0, 4.0])
@pytest.mark.parametrize("budget", [30.0, 60.0, 600.0])
def test_budgets_are_kept(monkeypatch: pytest.MonkeyPatch, over: float, budget: float) -> None:
    found = stand_in(monkeypatch, over, budget)
    advise._tried(found.desk, found.wanted, lambda _: None)
    assert found.desk.clock.spent <= (found.desk.clock.end if over <= 1 else budget)
    assert len(found.desk.done) >= (12 if budget > 300 and over <= 1 else 1)


def test_a_budget_that_ends_before_a_probe_says_how_to_go_on(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    found = stand_in(monkeypatch, 4.0, 12.0)
    with pytest.raises(UserError, match="12.0.s were up .* Give it more .budget=10min.; the same"):
        advise._tried(found.desk, found.wanted, lambda _: None)


def test_what_is_under_way_when_time_is_up_is_stopped() -> None:
    clock = Clock(10)
    with clock.until(0.05):
        time.sleep(5)
    assert clock.spent < 2
    with pytest.raises(SystemExit), clock.until(60):  # somebody else's signal
        raise SystemExit(128 + signal.SIGTERM)
    assert signal.getitimer(signal.ITIMER_REAL)[0] == 0


def test_a_forecast_tells_what_is_paid_once_from_what_a_further_job_costs() -> None:
    def job(network: str, strategy: str, took: float, at_work: float) -> Any:
        return SimpleNamespace(way=Way(network, 64, strategy), took=took, at_work=at_work)

    guesses = {Way(n, 64, s): g for n, g in (("a", 1), ("b", 2)) for s in (PROBE, "lp_ft")}
    b, trained = Way("b", 64, PROBE), Way("b", 64, "lp_ft")
    assert forecast(b, guesses, []) == 2
    first = job("a", PROBE, 20.0, 4.0)
    assert forecast(b, guesses, [first]) == pytest.approx(16 / 2 + 2 * 4 / 2)
    known = [first, job("b", PROBE, 5.0, 3.0)]
    assert forecast(b, guesses, known) == pytest.approx(2 + 3)
    assert forecast(trained, guesses, known) == pytest.approx(2 + 2), "probes say nothing of epochs"
    known.append(job("a", "lp_ft", 6.0, 3.0))
    assert forecast(trained, guesses, known) == pytest.approx(2 + 3 * 2)
    assert work(100, 0, 3) == pytest.approx(10 * work(100, 0, 0))


@pytest.mark.parametrize(("photos", "torch"), [(100, True), (2000, False)])
def test_few_small_photos_are_not_worth_a_conversion(photos: int, torch: bool) -> None:
    clock = Clock(1)
    way = Way("tiny_cnn", 64, PROBE)
    assert (advice_jobs.engine(Desk(Path(), Path(), [], clock, photos), way) != []) is torch
    own = Desk(Path(), Path(), ["extraction.engine=openvino"], clock, photos)
    assert advice_jobs.engine(own, way) == []


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (["budget=soon"], "budget: 'soon' is no time. Legal: 90s, 10min, 2h"),
        (["seed=0,1"], "seed: has several values"),
        (["model=efficientnt_lite0"], "efficientnet_lite0"),
        (["gains=none.json"], "gains: none.json: "),
        (["selection=none"], "selection: none holds nothing out"),
    ],
)
def test_mistakes_are_named_before_any_work(given: list[str], message: str) -> None:
    with pytest.raises(UserError, match=message):
        asked(given)
