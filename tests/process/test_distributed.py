"""Processes by torchrun: started once, told apart, ended together."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import psutil
import pytest

from graftwork.config.errors import UserError
from graftwork.process import distributed
from graftwork.process.parent import end_with_parent
from graftwork.storage.artifacts import Artifacts


@pytest.fixture
def artifacts(tmp_path: Path) -> Artifacts:
    return Artifacts.at(tmp_path / "a folder", tmp_path)


class Started:
    """Stands for the process that would be started."""

    code = 0

    def __init__(self, command: list[str], env: dict[str, str], preexec_fn: object) -> None:
        type(self).command, type(self).env = command, env
        assert preexec_fn is end_with_parent

    def wait(self) -> int:
        return self.code


def test_one_process_is_this_one(artifacts: Artifacts) -> None:
    assert not distributed.relaunched(1, artifacts, "pipelines.evaluate")
    assert (distributed.rank(), distributed.world_size()) == (0, 1)
    assert distributed.gathered("x") == ["x"]
    with distributed.joined():
        pass


def test_inside_torchrun_nothing_is_started(
    artifacts: Artifacts, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in (("TORCHELASTIC_RUN_ID", "x"), ("RANK", "1"), ("WORLD_SIZE", "2")):
        monkeypatch.setenv(name, value)
    assert not distributed.relaunched(2, artifacts, "pipelines.evaluate")
    assert (distributed.rank(), distributed.world_size()) == (1, 2)


def test_the_command(artifacts: Artifacts, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(subprocess, "Popen", Started)
    monkeypatch.setattr(distributed, "cores", lambda: 5)
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    assert distributed.relaunched(2, artifacts, "pipelines.evaluate")
    assert Started.command[-9:] == [
        "--standalone", "--nproc-per-node", "2", "-m", "pipelines.evaluate",
        "--root", str(artifacts.root), "--shared", str(artifacts.shared),
    ]  # fmt: skip
    assert Started.env["OMP_NUM_THREADS"] == "2"
    assert os.getcwd() in Started.env["PYTHONPATH"].split(os.pathsep)


def test_a_failure_names_the_stage(artifacts: Artifacts, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(subprocess, "Popen", Started)
    monkeypatch.setattr(Started, "code", 1)
    with pytest.raises(UserError, match="pipelines.evaluate failed in 2 processes"):
        distributed.relaunched(2, artifacts, "pipelines.evaluate")


def test_who_is_ended_ends_the_others() -> None:
    process = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])

    class Interrupted:
        """The process, while something interrupts the first wait for it."""

        waits, pid = 0, process.pid
        send_signal = staticmethod(process.send_signal)
        terminate, kill = process.terminate, process.kill

        def wait(self, timeout: float | None = None) -> int:
            self.waits += 1
            if self.waits == 1:
                raise KeyboardInterrupt
            return process.wait(timeout)

    with pytest.raises(KeyboardInterrupt):
        distributed._finished(Interrupted())  # type: ignore[arg-type]
    assert process.returncode != 0  # by SIGINT, as this one was


def test_who_does_not_listen_is_killed(monkeypatch: pytest.MonkeyPatch) -> None:
    done: list[str] = []
    alone = SimpleNamespace(children=lambda: [])
    monkeypatch.setattr(distributed.psutil, "Process", lambda pid: alone)

    class Deaf:
        pid = os.getpid()

        def send_signal(self, number: int) -> None:
            done.append(signal.Signals(number).name)

        def terminate(self) -> None:
            done.append("terminate")

        def kill(self) -> None:
            done.append("kill")

        def wait(self, timeout: float | None = None) -> int:
            done.append("wait")
            if len(done) == 1:
                raise SystemExit(143)
            if timeout:
                raise subprocess.TimeoutExpired("x", timeout)
            return -9

    with pytest.raises(SystemExit):
        distributed._finished(Deaf())  # type: ignore[arg-type]
    assert done == ["wait", "SIGTERM", "wait", "terminate", "wait", "kill", "wait"]


STUBBORN = """
import signal, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
print("ready", flush=True)
time.sleep(60)
"""


def stubborn() -> subprocess.Popen[bytes]:
    """A process that does not end by SIGTERM, and has begun."""
    process = subprocess.Popen([sys.executable, "-c", STUBBORN], stdout=subprocess.PIPE)
    assert process.stdout is not None and process.stdout.readline() == b"ready\n"
    process.stdout.close()
    return process


def test_none_is_left_behind_where_torchrun_was_ended_first(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    worker = stubborn()
    monkeypatch.setattr(distributed, "_children", lambda pid: [psutil.Process(worker.pid)])
    ended = SimpleNamespace(pid=0, waits=0, terminate=None, kill=None)

    def wait(timeout: float | None = None) -> int:
        ended.waits += 1
        if ended.waits == 1:
            raise SystemExit(143)
        return 1

    ended.wait = wait
    with pytest.raises(SystemExit):
        distributed._finished(ended)  # type: ignore[arg-type]
    assert worker.wait(10) == -signal.SIGKILL


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("gloo: Timed out waiting 9000ms for recv", "not answered for 9 s.*group_timeout=3600"),
        ("wait timeout after 9000ms, keys: /default_pg", "not answered for 9 s"),
        ("Connection closed by peer [127.0.0.1]:9", "has ended.*trainer.batch_size"),
        ("shape mismatch", None),
    ],
)
def test_another_process_that_is_late_or_gone_is_named(
    words: str, said: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Those that were stopped go on, since they do not end otherwise."""
    assert distributed.as_fault(RuntimeError(words)) is None  # alone
    sibling = stubborn()
    monkeypatch.setattr(distributed, "_children", lambda pid: [psutil.Process(sibling.pid)])
    for name, value in (("TORCHELASTIC_RUN_ID", "x"), (distributed.TIMEOUT, "9")):
        monkeypatch.setenv(name, value)
    psutil.Process(sibling.pid).suspend()
    os.waitpid(sibling.pid, os.WUNTRACED)
    fault = distributed.as_fault(RuntimeError(words))
    stopped = psutil.Process(sibling.pid).status() == psutil.STATUS_STOPPED
    sibling.kill()
    sibling.wait()
    assert (fault is None) == (said is None) == stopped
    assert said is None or re.search(said, str(fault))
    assert distributed.as_fault(ValueError(words)) is None


def test_a_group_is_left_as_it_was_found(monkeypatch: pytest.MonkeyPatch) -> None:
    import torch.distributed as dist

    called: list[str] = []
    monkeypatch.setattr(distributed, "world_size", lambda: 2)
    monkeypatch.setenv(distributed.TIMEOUT, "9")
    joins: list[object] = []

    def begin(kind: str, timeout: object, store: object, **_: int) -> None:
        called.append(f"{kind} {timeout}")
        joins.append(store)

    monkeypatch.setattr(dist, "rendezvous", lambda *_, **__: iter([("store", 0, 2)]))
    monkeypatch.setattr(dist, "PrefixStore", lambda name, store: (name, store))
    monkeypatch.setattr(dist, "init_process_group", begin)
    monkeypatch.setattr(dist, "destroy_process_group", lambda: called.append("end"))

    def gather(values: list[str], value: str) -> None:
        values[:] = [value, "other"]

    monkeypatch.setattr(dist, "all_gather_object", gather)
    with distributed.joined():
        assert distributed.gathered("mine") == ["mine", "other"]
    assert called == ["gloo 0:00:09", "end"]
    with distributed.joined():  # under another name: torchrun keeps addresses of the first
        pass
    assert len(set(joins)) == 2 and called == ["gloo 0:00:09", "end"] * 2
    monkeypatch.setattr(dist, "is_initialized", lambda: True)  # Lightning's own
    with distributed.joined():
        pass
    assert called == ["gloo 0:00:09", "end"] * 2
