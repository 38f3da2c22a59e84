from __future__ import annotations

import json
import os
import signal

import pytest
from mlflow.entities import Metric
from mlflow.exceptions import MlflowException

from graftwork.recording import outbox
from graftwork.recording.kept_letters import place, waiting
from graftwork.recording.outbox import Outbox
from graftwork.storage.artifacts import Artifacts


class Store:
    """Stands in for MLflow's client; `away` says how it fails."""

    def __init__(self):
        self.away: Exception | None = None
        self.got: list[tuple] = []
        self.rows: list = []
        self.answers_lost: list[Exception] = []

    def log_batch(self, run_id, metrics, params, tags):
        if self.away:
            raise self.away
        self.got.append((run_id, [m.value for m in metrics], params, tags))
        self.rows += metrics
        if self.answers_lost:
            raise self.answers_lost.pop()

    def get_metric_history(self, run_id, key):
        return [row for row in self.rows if row.key == key]

    def values(self):
        return [value for _, values, _, _ in self.got for value in values]


BUSY = MlflowException("database is locked")


@pytest.fixture
def store():
    return Store()


@pytest.fixture
def now(monkeypatch):
    """The clock, moved by hand."""
    clock = {"time": 1000.0}
    monkeypatch.setattr(outbox.time, "monotonic", lambda: clock["time"])
    return clock


def row(value):
    return {"kind": "batch", "run_id": "r", "metrics": [["a", value, 0, 0]]}


def test_a_store_that_is_away_costs_no_rows(store, now, tmp_path):
    box = Outbox(store, tmp_path / "unsent")
    box.post(row(1))
    store.away = BUSY
    box.post(row(2))
    store.away = None
    box.post(row(3))  # not tried: every try may block for seconds
    assert store.values() == [1]
    now["time"] += outbox.PAUSE
    box.post(row(4))
    assert store.values() == [1, 2, 3, 4]
    box.close()
    assert not list((tmp_path / "unsent").iterdir())


def test_what_is_left_is_sent_by_the_next_run(store, now, tmp_path, caplog):
    folder = tmp_path / "unsent"
    box = Outbox(store, folder)
    store.away = ConnectionError("gone")
    for value in (1, 2, 3):
        box.post(row(value))
    assert box.close() == 3
    assert "3 entries are kept" in caplog.text and len(list(folder.iterdir())) == 1
    Outbox(store, folder).close()  # still away: kept, once
    assert [len(p.read_text().splitlines()) for p in folder.iterdir()] == [3]
    store.away = None
    Outbox(store, folder).close()
    assert store.values() == [1, 2, 3] and not list(folder.iterdir())


def test_what_earlier_runs_left_is_sent_before_everything_else(store, now, tmp_path):
    """The order of time decides which status a run ends with."""
    store.away = BUSY
    for value in (1, 2):
        box = Outbox(None, tmp_path)
        box.post(row(value))
        assert box.close() == 1
    box = Outbox(store, tmp_path)
    box.post(row(3))
    store.away = None
    now["time"] += outbox.PAUSE
    box.post(row(4))
    assert store.values() == [1, 2, 3, 4]


def test_a_killed_process_loses_no_letter(store, tmp_path):
    """Neither those that wait nor the one that is under way, which may have arrived."""
    arrived, waits = os.pipe(), os.pipe()
    child = os.fork()
    if child == 0:
        box = Outbox(store, tmp_path)
        store.away = BUSY
        box.post(row(1))
        store.log_batch = lambda *_: (os.write(waits[1], b"x"), os.read(arrived[0], 1))
        box._next_try = 0.0
        box.post({"kind": "batch", "run_id": "r", "metrics": [["a", 2, 1, 1]]})
        os._exit(0)
    os.read(waits[0], 1)
    other = Outbox(store, tmp_path)
    assert store.values() == [], "its process lives: what it keeps is its own"
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    store.log_batch("r", [Metric("a", 1, 0, 0)], [], [])
    other.close()
    Outbox(store, tmp_path).close()
    assert store.values() == [1, 2] and not list(tmp_path.iterdir())


def test_each_store_has_its_own_letters(tmp_path):
    artifacts = Artifacts.at(tmp_path)
    places = [place(artifacts, uri) for uri in (None, "http://a:1", "http://b:1")]
    assert len(set(places)) == 3 and len({folder.parent for folder in places}) == 1
    for count, folder in enumerate(places):
        box = Outbox(None, folder)
        for value in range(count):
            box.post(row(value))
        box.close()
    assert waiting(artifacts) == {places[1]: 1, places[2]: 2}


def test_a_folder_that_cannot_be_written_costs_no_run(store, now, tmp_path, caplog):
    (tmp_path / "file").write_text("")
    box = Outbox(store, tmp_path / "file" / "unsent")
    store.away = BUSY
    box.post(row(1))
    store.away = None
    now["time"] += outbox.PAUSE
    box.post(row(2))
    assert store.values() == [1, 2] and box.close() == 0
    assert caplog.text.count("kept in memory alone") == 1


def test_a_try_that_takes_long_is_repeated_seldom(store, now, tmp_path):
    box = Outbox(store, tmp_path)

    def slow(*_):
        now["time"] += 20
        raise BUSY

    store.log_batch = slow
    box.post(row(1))
    begun = now["time"]
    now["time"] += 20 * outbox.SHARE - 1
    box.post(row(2))
    assert now["time"] < begun + 20 * outbox.SHARE
    box.post(row(3))
    box.close(hurry=True)
    assert now["time"] == begun + 20 * outbox.SHARE - 1
    assert Outbox(None, tmp_path).close() == 0


def test_what_can_never_be_sent_is_dropped_and_said(store, now, tmp_path, caplog):
    box = Outbox(store, tmp_path)
    store.away = MlflowException.invalid_parameter_value("too long")
    box.post(row(1))
    store.away = None
    box.post(row(2))
    assert store.values() == [2] and "too long" in caplog.text


def test_letters_are_json(store, tmp_path):
    assert json.loads(json.dumps(row(1))) == row(1)


def test_more_than_one_call_takes_is_split(store, tmp_path):
    rows = [["m", float(i), 0, 0] for i in range(1700)]
    tags = [[f"t{i}", "v"] for i in range(250)]
    Outbox(store, tmp_path).post({"kind": "batch", "run_id": "r", "metrics": rows, "tags": tags})
    assert store.values() == [float(i) for i in range(1700)]
    assert [len(tags) for *_, tags in store.got] == [100, 100, 50]


def test_what_arrived_without_an_answer_is_not_sent_twice(store, now, tmp_path):
    box = Outbox(store, tmp_path)
    store.answers_lost = [BUSY]
    box.post(row(1))
    now["time"] += outbox.PAUSE
    box.post({"kind": "batch", "run_id": "r", "metrics": [["a", 2, 1, 1], ["b", 1, 1, 0]]})
    assert store.values() == [1, 2, 1]


def test_what_a_run_cannot_have_is_not_asked_for(store, now, tmp_path):
    store.log_batch("r", [Metric("a", 1, 0, 0)], [], [])
    asked, history = [], store.get_metric_history
    store.get_metric_history = lambda run, key: (asked.append((run, key)), history(run, key))[1]
    box = Outbox(store, tmp_path)
    box.had("r", ["a"])
    for run in ("r", "r", "other"):
        rows = [["a", 1, 5, 0], ["b", 2, 5, 0]]
        box.post({"kind": "batch", "run_id": run, "again": True, "metrics": rows})
    assert asked == [("r", "a"), ("other", "a"), ("other", "b")]
    assert store.values() == [1, 2]


def test_numbers_that_a_run_has_are_not_recorded_again(store, now, tmp_path):
    """Other ones are, and so is one that was another in between."""
    box = Outbox(store, tmp_path)
    box.post(row(float("nan")))
    for value, step in ((float("nan"), 0), (5, 1), (5, 1), (6, 1), (6, 1), (5, 1)):
        metrics = [["a", value, 10 + len(store.rows), step]]
        box.post({"kind": "batch", "run_id": "r", "metrics": metrics, "again": True})
    assert store.values()[1:] == [5, 6, 5]
