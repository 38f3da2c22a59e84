"""Signals end a training between two steps, kept, in every process; started again it goes on."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from cut_trainings import Trainings
from forked_processes import Forked
from tiny_transfer import draw_photos, save_weights

from graftwork.process import ended, preemption
from graftwork.process.preemption import Request, ask_to_be_requeued
from graftwork.process.stopping import status_of
from pipelines.stage import left_as_asked


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("preempted")
    draw_photos(place / "photos")
    save_weights(place / "weights.pth")
    return place


@pytest.fixture(scope="module")
def one(photos: Path) -> Trainings:
    return made(photos, 1)


def made(photos: Path, processes: int) -> Trainings:
    return Trainings(
        photos / "photos", photos / "weights.pth", photos / f"of {processes}",
        "trainer.refit=never", "trainer.batch_size=6", "transfer.batch_norm=trained",
        f"trainer.processes={processes}",
    )  # fmt: skip


def asked(number: int) -> Callable[[], None]:
    return lambda: os.kill(os.getpid(), number)


@pytest.fixture(scope="module")
def alone(one: Trainings) -> tuple[object, int]:
    """What it comes to where nobody asks anything, and in how many steps."""
    return one.run(None, pytest.MonkeyPatch()), one.steps


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGUSR1])
def test_it_is_kept_and_goes_on(
    number: int,
    one: Trainings,
    alone: tuple[object, int],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    whole, steps = alone
    before = signal.getsignal(number)
    with pytest.raises(SystemExit) as stopped:
        one.run(tmp_path, monkeypatch, 2, every=100, cut=asked(number))
    assert stopped.value.code == 128 + number and one.steps == 3  # the step is done
    assert status_of(stopped.value) == "KILLED"
    assert signal.getsignal(number) is before
    assert one.run(tmp_path, monkeypatch) == whole
    assert one.steps == steps - 3


def test_after_the_last_step_the_result_is_kept(
    one: Trainings, alone: tuple[object, int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole, steps = alone
    with pytest.raises(SystemExit, match="143"):
        one.run(tmp_path, monkeypatch, steps - 1, every=100, cut=asked(signal.SIGTERM))
    assert one.run(tmp_path, monkeypatch) == whole
    assert one.steps == 0


def test_all_processes_end_at_the_same_step_and_go_on(
    photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Asked is one of two. Statistics of BatchNorm, which differ between them, go on as well."""
    two = made(photos, 2)

    def run(cut_at: int | None, cut: Callable[[], None]) -> object:
        return two.run(tmp_path / "kept", monkeypatch, cut_at, 3, cut)

    def second() -> None:
        if os.environ["RANK"] == "1":
            os.kill(os.getpid(), signal.SIGTERM)

    def killed() -> None:
        if os.environ["RANK"] == "1":
            os.kill(os.getpid(), signal.SIGKILL)

    whole = Forked(lambda: two.run(None, monkeypatch), tmp_path / "whole", 2)
    assert whole.wait() == [0, 0]
    stopped = Forked(lambda: run(1, second), tmp_path / "stopped", 2)
    assert stopped.wait() == [143, 143]
    cut = Forked(lambda: run(4, killed), tmp_path / "cut", 2)
    assert -signal.SIGKILL in cut.wait_for_first()
    found = Forked(lambda: (run(None, second), two.steps), tmp_path / "found", 2)
    assert found.wait() == [0, 0]
    assert found.value == (whole.value, 10 - 2 - 3)


def test_who_presses_again_ends_it_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    request = Request()
    with request.heeded():
        for _ in range(2):  # at once: the terminal and the parent say the same
            request.note(signal.SIGINT)
        assert request.code == 130
        monkeypatch.setattr(preemption, "AGAIN", -1.0)
        request.note(signal.SIGTERM)  # a supervisor that repeats itself waits
        with pytest.raises(SystemExit, match="130"):
            request.note(signal.SIGINT)


def test_who_is_late_ends_in_the_midst(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(preemption, "GRACE", 0.05)
    before = signal.getsignal(signal.SIGALRM)
    request, begun = Request(), time.monotonic()
    with request.heeded(), pytest.raises(SystemExit, match="143"):
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(5)
    assert time.monotonic() - begun < 2
    assert signal.getsignal(signal.SIGALRM) is before


@pytest.mark.parametrize(
    ("job", "said"),
    [
        ({"SLURM_JOB_ID": "12"}, "requeue 12\n"),
        ({"SLURM_JOB_ID": "9", "SLURM_ARRAY_JOB_ID": "12", "SLURM_ARRAY_TASK_ID": "3"},
         "requeue 12_3\n"),
        ({}, ""),
    ],
)  # fmt: skip
def test_slurm_is_asked_to_start_it_again(
    job: dict[str, str], said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    record = tmp_path / "said"
    record.write_text("")
    stand_in = tmp_path / "scontrol"
    stand_in.write_text(f'#!/bin/sh\necho "$@" >> "{record}"\n')
    stand_in.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    for name in ("SLURM_JOB_ID", "SLURM_ARRAY_JOB_ID", "SLURM_ARRAY_TASK_ID"):
        monkeypatch.delenv(name, raising=False)
    for name, value in job.items():
        monkeypatch.setenv(name, value)
    for code in (143, 138, 130):
        ask_to_be_requeued(code)
    assert record.read_text() == said


def test_who_started_it_by_torchrun_learns_the_code(monkeypatch: pytest.MonkeyPatch) -> None:
    with ended.told() as told:
        assert told.code == 0
        for name, value in told.environment.items():
            monkeypatch.setenv(name, value)
        with pytest.raises(SystemExit, match="143"), left_as_asked():  # alone: the others go on
            raise SystemExit(143)
        assert told.code == 143
    with ended.told() as told:
        for name, value in told.environment.items():
            monkeypatch.setenv(name, value)
        with pytest.raises(SystemExit) as left, left_as_asked():  # all of them by agreement
            preemption.end(130, None)
        assert left.value.code == 0 and told.code == 130


def test_where_one_has_failed_the_others_do_not_say_that_they_were_asked(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """torchrun ends them by SIGTERM."""
    with ended.told() as told:
        for name, value in told.environment.items():
            monkeypatch.setenv(name, value)
        with pytest.raises(ZeroDivisionError), left_as_asked():
            raise ZeroDivisionError
        assert not ended.first_to_tell()
        with pytest.raises(SystemExit, match="143"), left_as_asked():
            raise SystemExit(143)
        assert told.code == 0
    monkeypatch.delenv(ended.FILE)
    for rank, first in (("0", True), ("1", False)):
        monkeypatch.setenv("RANK", rank)
        assert ended.first_to_tell() is first
