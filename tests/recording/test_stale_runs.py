"""Runs that were left RUNNING are closed by the next start, and no other is."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest
from tracked_experiment import experiment

from graftwork.cli import doctor
from graftwork.recording import stale_runs
from graftwork.recording.mlflow_store import open_store
from graftwork.recording.opening import open_run, open_sweep
from graftwork.recording.stale_runs import CLOSED, WORKER, close_stale, is_gone, mark
from graftwork.storage.artifacts import Artifacts


def status(artifacts: Artifacts) -> dict[str, str]:
    """Of every recorded run, by the folder in its name."""
    client = open_store(None, artifacts)
    runs = client.search_runs([run.experiment_id for run in client.search_experiments()])
    return {run.info.run_id: run.info.status for run in runs}


@pytest.fixture
def project(tmp_path: Path) -> Path:
    open_store(None, Artifacts.at(tmp_path))
    return tmp_path


def killed(project: Path) -> str:
    """The id of a run whose process was killed while it was open."""
    artifacts = Artifacts.at(project / "killed", project)
    read, write = os.pipe()
    if (child := os.fork()) == 0:
        run = open_run(experiment(), artifacts)
        os.write(write, run.run_id.encode())
        os.kill(os.getpid(), signal.SIGKILL)
    os.waitpid(child, 0)
    found = os.read(read, 100).decode()
    assert status(artifacts)[found] == "RUNNING"
    return found


def test_the_next_start_closes_what_a_killed_process_left(project: Path) -> None:
    left = killed(project)
    artifacts = Artifacts.at(project / "next", project)
    with open_run(experiment(), artifacts) as run:
        assert status(artifacts) == {left: "KILLED", run.run_id: "RUNNING"}
    client = open_store(None, artifacts)
    assert "without a word" in client.get_run(left).data.tags[CLOSED]


def test_a_sweep_closes_them_too_and_its_own_jobs_do_not_close_it(project: Path) -> None:
    left = killed(project)
    parent = open_sweep(experiment().tracking, Artifacts.at(project / "sweep", project), "a", {})
    with open_run(experiment(), Artifacts.at(project / "job", project)) as job:
        found = status(Artifacts.at(project))
        assert found == {left: "KILLED", parent.run_id: "RUNNING", job.run_id: "RUNNING"}
    parent.finish()


def test_a_run_that_goes_on_is_marked_anew(project: Path) -> None:
    left = killed(project)
    with open_run(experiment(), Artifacts.at(project / "killed", project)) as run:
        assert run.run_id == left
        client = open_store(None, Artifacts.at(project))
        assert client.get_run(left).data.tags[WORKER] == mark()
        with open_run(experiment(), Artifacts.at(project / "other", project)):
            assert status(Artifacts.at(project))[left] == "RUNNING"


def test_who_is_gone() -> None:
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    machine, _, _ = mark().rsplit(" ", 2)
    theirs = f"{machine} {child.pid} {psutil.Process(child.pid).create_time():.2f}"
    assert not is_gone(theirs) and not is_gone(mark())
    child.kill()
    child.wait()
    assert is_gone(theirs)
    own = os.getpid()
    assert is_gone(f"{machine} {own} 12.00"), "the number is another process's now"
    for unknown in (f"elsewhere - {child.pid} 1.00", "", "nonsense", f"{machine} x y", machine):
        assert not is_gone(unknown)


def test_a_store_that_does_not_answer_is_no_obstacle(monkeypatch: pytest.MonkeyPatch) -> None:
    def away(*_: object) -> list:
        raise ConnectionError

    monkeypatch.setattr(stale_runs, "stale", away)
    assert close_stale(None, "1") == []  # type: ignore[arg-type]


def test_doctor_tells_of_them_and_closes_them(project: Path) -> None:
    left = killed(project)
    told = doctor._state(project, verify=False, fix=False)
    assert [(found.name, found.good) for found in told] == [("runs", False)]
    assert told[0].value.startswith("1 RUNNING though") and "doctor --fix" in told[0].value
    assert status(Artifacts.at(project))[left] == "RUNNING", "telling changes nothing"
    (closed,) = doctor._state(project, verify=False, fix=True)
    assert closed.good and status(Artifacts.at(project))[left] == "KILLED"
    assert doctor._state(project, verify=False, fix=True) == []
