from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import yaml

from graftwork.config.errors import UserError
from graftwork.experiment import Experiment
from graftwork.storage.artifacts import Artifacts
from pipelines import stage

PROJECT = Path(__file__).parents[2]


def prepare(experiment, artifacts):
    pass


prepare.__module__ = "pipelines.prepare"


def test_a_stage_leaves_its_cost(tmp_path, tiny_params):
    artifacts = Artifacts.at(tmp_path)
    stage.measured(prepare, Experiment.from_params(tiny_params()), artifacts)
    cost = json.loads(artifacts.cost("prepare").read_text())
    assert cost["seconds"] >= 0 and cost["peak_mib"] > 10


def test_a_stage_that_fails_leaves_none(tmp_path, tiny_params):
    def broken(experiment, artifacts):
        raise RuntimeError("half way")

    broken.__module__ = "pipelines.prepare"
    artifacts = Artifacts.at(tmp_path)
    stage.measured(prepare, Experiment.from_params(tiny_params()), artifacts)
    with pytest.raises(RuntimeError):
        stage.measured(broken, Experiment.from_params(tiny_params()), artifacts)
    assert not artifacts.cost("prepare").exists()


@pytest.mark.parametrize(
    ("error", "code", "said"),
    [
        (UserError("x: wrong."), 2, "graftwork: x: wrong."),
        (KeyboardInterrupt(), 130, "graftwork: interrupted."),
        (PermissionError(13, "no", "/a/b"), 2, "graftwork: /a/b: Permission denied. Give this"),
        (OSError(30, "no", "/a", None, "/b"), 2, "graftwork: /b: Read-only file system. Name"),
        (OSError(28, "no"), 2, "graftwork: No space left on device. Free some space"),
    ],
)
def test_reported(error, code, said, capsys):
    with pytest.raises(SystemExit) as stop, stage.reported():
        raise error
    assert stop.value.code == code
    assert said in capsys.readouterr().err


@pytest.mark.parametrize("error", [ZeroDivisionError(), OSError(5, "disk"), OSError("bad file")])
def test_other_errors_keep_their_traceback(error):
    with pytest.raises(type(error)), stage.reported():
        raise error


@pytest.mark.parametrize("goes_on", [False, True])
def test_a_server_that_is_away_is_told_before_the_first_run_and_costs_no_later_one(
    goes_on, tmp_path, tiny_params, monkeypatch, capsys
):
    done = []

    def work(experiment, artifacts):
        done.append(artifacts.root)

    work.__module__ = "pipelines.prepare"
    away = tiny_params("tracking.uri=http://127.0.0.1:9")
    (tmp_path / "params.yaml").write_text(yaml.safe_dump(away))
    monkeypatch.setattr("sys.argv", ["stage", "--root", str(tmp_path)])
    monkeypatch.setattr(stage, "stop_orderly", lambda: None)
    if goes_on:
        stage.main(work, goes_on=True)
        assert done == [tmp_path]
        return
    with pytest.raises(SystemExit, match="2"):
        stage.main(work)
    assert not done and "http://127.0.0.1:9 cannot be used" in capsys.readouterr().err


@pytest.fixture
def sleepy(tmp_path, tiny_params):
    """A stage that sleeps, as a command."""
    (tmp_path / "params.yaml").write_text(yaml.safe_dump(tiny_params()))
    (tmp_path / "sleepy.py").write_text(
        """
import time
from pipelines import stage
def run(experiment, artifacts):
    print("running", flush=True)
    time.sleep(60)
stage.main(run)
"""
    )
    return [sys.executable, str(tmp_path / "sleepy.py"), "--root", str(tmp_path)]


def started(command: list[str], **options: object) -> subprocess.Popen:
    env = {**os.environ, "PYTHONPATH": f"{PROJECT / 'src'}{os.pathsep}{PROJECT}"}
    before = signal.signal(signal.SIGHUP, signal.SIG_DFL)  # tests, too, may run under nohup
    process = subprocess.Popen(command, env=env, stdout=subprocess.PIPE, text=True, **options)
    signal.signal(signal.SIGHUP, before)
    assert process.stdout and process.stdout.readline() == "running\n"
    return process


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGHUP, 129)])
def test_a_terminated_stage_does_not_count_as_finished(sleepy, tmp_path, number, code):
    with started(sleepy, stderr=subprocess.PIPE) as process:
        start = time.monotonic()
        process.send_signal(number)
        assert process.communicate(timeout=10)[1] == f"graftwork: stopped by {number.name}.\n"
        assert process.returncode == code
        assert time.monotonic() - start < 5
    assert not (tmp_path / "costs" / "sleepy.json").exists()


def test_nohup_outlives_its_terminal(sleepy):
    with started(["nohup", *sleepy], stderr=subprocess.DEVNULL) as process:
        process.send_signal(signal.SIGHUP)
        with pytest.raises(subprocess.TimeoutExpired):
            process.wait(1)
        process.terminate()
        assert process.wait(10) == 143


def test_a_closed_terminal_is_an_orderly_end(sleepy):
    """Writing to a terminal that is gone fails; nothing that is left to do may stumble over it."""
    keyboard, screen = os.openpty()
    with started(sleepy, stderr=screen, stdin=screen, start_new_session=True) as process:
        os.close(screen)
        os.close(keyboard)
        process.send_signal(signal.SIGHUP)  # as a shell does; the terminal itself tells its owner
        assert process.wait(10) == 129
