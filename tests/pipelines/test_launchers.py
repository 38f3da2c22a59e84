"""Jobs in processes of their own: cores shared out, signals passed on, nothing lost."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest
from omegaconf import OmegaConf
from real_slurm import missing, slurm
from stand_in_stages import SMALL, table
from tiny_transfer import draw_photos

from graftwork.process.cores import SHARE, cores
from pipelines import launchers
from pipelines.launchers import STARTER, at_work

PROJECT = Path(__file__).parents[2]
JOBLIB = OmegaConf.create({"_target_": "hydra_plugins.hydra_joblib_launcher.Joblib"})
SETTINGS = (
    *("sweep=six", "model=tiny_cnn", "dataset=folder"),
    *("trainer.checkpoint_steps=1", "trainer.batch_size=8", "evaluation.engine=eager"),
    *("evaluation.bootstrap_samples=100", "tracking.log_model=False", "transfer/start=random"),
    "transfer=from_scratch",
)
JOBLIB_OF_TWO = ("hydra/launcher=joblib", "hydra.launcher.n_jobs=2")


@pytest.mark.parametrize(
    ("choice", "missing", "remedy"),
    [
        ("joblib", "hydra_joblib_launcher", "graftwork[joblib]"),
        ("submitit_slurm", "hydra_submitit_launcher", "graftwork[slurm]"),
    ],
)
def test_a_launcher_that_is_not_installed_is_refused(
    run, monkeypatch, capsys, choice, missing, remedy
):
    real = launchers.find_spec
    absent = f"hydra_plugins.{missing}"
    monkeypatch.setattr(launchers, "find_spec", lambda name: None if name == absent else real(name))
    assert run("-m", *SMALL, f"hydra/launcher={choice}", "seed=1,2") == 2
    said = capsys.readouterr().err
    assert remedy in said and said.count("\n") == 1 and not Path("runs").exists()


@pytest.mark.parametrize(
    ("processes", "each"), [(1, 8), (2, 4), (3, 2), (8, 1), (20, 1), (-1, 1), (-5, 2)]
)
def test_cores_are_shared_out(monkeypatch, processes, each):
    monkeypatch.setattr(launchers, "cores", lambda: 8)
    assert launchers._share(processes) == each


def test_a_process_takes_no_more_than_its_share(monkeypatch):
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: {0, 3, 5}, raising=False)
    for share, taken in (("2", 2), ("9", 3), ("", 3)):
        monkeypatch.setenv(SHARE, share)
        assert cores() == taken


def test_only_a_job_in_a_process_of_its_own_ends_that_process(monkeypatch):
    monkeypatch.setenv("SLURM_JOB_ID", "1")  # it outlives whoever submitted it
    basic = OmegaConf.create({"_target_": "x.BasicLauncher"})
    for node, starter in ((basic, "1"), (JOBLIB, str(os.getpid()))):
        monkeypatch.setenv(STARTER, starter)
        with pytest.raises(SystemExit), at_work(node):
            sys.exit(143)
    monkeypatch.setenv(STARTER, "1")
    if (pid := os.fork()) == 0:
        with at_work(JOBLIB):
            os.kill(os.getpid(), signal.SIGINT)
            time.sleep(9)
        os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 130


@contextmanager
def started(
    project: Path, *overrides: str, env: Mapping[str, str] = os.environ
) -> Iterator[subprocess.Popen[bytes]]:
    project.mkdir(exist_ok=True)
    environment = {**env, "PYTHONPATH": f"{PROJECT / 'src'}:{PROJECT}"}
    command = [sys.executable, "-m", "pipelines.experiment", *SETTINGS, *overrides]
    with (project / "said").open("w") as said:
        process = subprocess.Popen(command, cwd=project, env=environment, stdout=said, stderr=said)
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def until(reached: Callable[[], bool]) -> None:
    ends = time.monotonic() + 120
    while not reached():
        assert time.monotonic() < ends
        time.sleep(0.2)


def ranked(project: Path) -> list[tuple[str, ...]]:
    rows = table(project / "runs/six")
    names = ("rank", "differs", "status", "selection_top1_value", "selection_log_loss")
    return [tuple(row[name] for name in (*names, "test_top1_value")) for row in rows]


@pytest.mark.slow
def test_six_jobs_of_joblib_on_a_new_store_come_to_what_one_after_the_other_does(tmp_path):
    photos = f"dataset.path={draw_photos(tmp_path / 'photos')}"
    six = (photos, "selection=random", "transfer.epochs=2", "seed=1,2,3,4,5,6")
    with started(tmp_path / "one", *six) as alone:
        assert alone.wait(300) == 0
    together = tmp_path / "several"
    with started(together, *six, *JOBLIB_OF_TWO) as several:
        assert several.wait(300) == 0
    assert ranked(together) == ranked(tmp_path / "one") and len(ranked(together)) == 6
    runs = {row["run_id"] for row in table(together / "runs/six")}
    with started(together, *six, "hydra/launcher=joblib", "hydra.launcher.n_jobs=1") as again:
        assert again.wait(300) == 0
    assert {row["run_id"] for row in table(together / "runs/six")} == runs and len(runs) == 6
    assert (together / "said").read_text().count("finished earlier") == 6


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGKILL])
def test_whoever_ends_the_start_ends_its_jobs_and_they_are_kept(tmp_path, number):
    photos = f"dataset.path={draw_photos(tmp_path / 'photos')}"
    endless = (photos, "selection=random", "transfer.epochs=500", "seed=1,2,3")
    with started(tmp_path / "cut", *endless, *JOBLIB_OF_TWO) as cut:
        kept = tmp_path / "cut/store/training"
        until(lambda: len({path.parent for path in kept.glob("*/*/*.json")}) == 2)
        jobs = psutil.Process(cut.pid).children(recursive=True)
        cut.send_signal(number)
        assert cut.wait(15) == {signal.SIGKILL: -9}.get(number, 128 + number)
        psutil.wait_procs(jobs, timeout=15)
        assert not [job for job in jobs if job.is_running()]
    said = (tmp_path / "cut/said").read_text()
    assert said.count("training is kept after") == 2
    if number != signal.SIGKILL:
        assert [row["status"] for row in table(tmp_path / "cut/runs/six")] == [
            "killed", "killed", "not begun",
        ]  # fmt: skip


@pytest.mark.slow
def test_a_job_that_fails_ends_no_other(tmp_path):
    photos = f"dataset.path={draw_photos(tmp_path / 'photos')}"
    # Each of the two is right beside the other's first choice.
    wrong = ("transfer/schedule=constant,plateau", "selection=random,none")
    with started(tmp_path / "p", photos, "transfer.epochs=2", *wrong, *JOBLIB_OF_TWO) as several:
        assert several.wait(300) == 1
    found = sorted(row["status"] for row in table(tmp_path / "p/runs/six"))
    assert found == ["failed", *["finished"] * 3]


def queue(environment: dict[str, str]) -> list[str]:
    """Number and state of the one job that is in it."""
    asked = ["squeue", "--noheader", "--format=%A %t"]
    return subprocess.check_output(asked, env=environment, text=True).split()


@pytest.mark.slow
@pytest.mark.skipif(bool(missing()), reason=missing())
def test_jobs_of_slurm_are_requeued_and_go_on_bit_by_bit(tmp_path):
    """Submitted, warned of the end of its time, put back by hand, ended by Ctrl-C, begun again."""
    photos = f"dataset.path={draw_photos(tmp_path / 'photos')}"
    settings = (photos, "selection=random", "transfer.epochs=40", "seed=1")
    with started(tmp_path / "alone", *settings) as alone:
        assert alone.wait(300) == 0
    by_slurm = ("hydra/launcher=submitit_slurm", "hydra.launcher.cpus_per_task=1")
    with slurm() as environment:
        project, seen = tmp_path / "queued", set[str]()

        def moves() -> bool:
            found = {str(path) for path in (project / "store/training").glob("*/*/*.json")}
            new = found - seen
            seen.update(found)
            return bool(new) and queue(environment)[1:] == ["R"]

        with started(project, *settings, *by_slurm, env=environment) as queued:
            for signalled in (["scancel", "--signal=USR1"], ["scontrol", "requeue"]):
                until(moves)
                number = queue(environment)[0]
                subprocess.run([*signalled, number], env=environment, check=True)
                until(lambda: queue(environment)[1:] == ["PD"])
                moves()  # what it has kept by now
            until(moves)
            queued.send_signal(signal.SIGINT)
            assert queued.wait(60) == 130
        until(lambda: not queue(environment))
        with started(project, *settings, *by_slurm, env=environment) as again:
            assert again.wait(300) == 0
    assert ranked(project) == ranked(tmp_path / "alone")
    weights = [*(tmp_path / "alone/runs/six").glob("*/model/*.safetensors")]
    assert len(weights) == 2
    for path in weights:
        assert path.read_bytes() == (project / path.relative_to(tmp_path / "alone")).read_bytes()
