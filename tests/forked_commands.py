"""Commands in processes of their own, forked from one that has imported the libraries already.

A command that refuses its input is done in a moment; a new interpreter would import for a second,
and for several where it trains.
"""

from __future__ import annotations

import gc
import importlib
import json
import os
import runpy
import signal
import socket
import subprocess
import sys
import tempfile
import traceback
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NoReturn

LIGHT = ("graftwork.experiment", "pipelines.experiment")
# What a training imports, and a record of it.
HEAVY = (
    "pipelines.finetune", "pipelines.prepare", "graftwork.training.networks", "torch.distributed",
    "mlflow.store.tracking.sqlalchemy_store",
)  # fmt: skip
ALONE: Sequence[dict[str, str]] = ({},)


class ForkedCommands:
    """Takes `python -m ...` to run, until closed."""

    def __init__(self, env: Mapping[str, str], modules: Sequence[str] = LIGHT) -> None:
        pipes: dict[str, Any] = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
        command = [sys.executable, __file__, *modules]
        self._parent = subprocess.Popen(command, env=env, **pipes)

    def run(
        self, arguments: list[str], folder: Path, environments: Sequence[dict[str, str]] = ALONE
    ) -> subprocess.CompletedProcess:
        """In a process for each of these additions to the environment, all at once."""
        stdin, stdout = self._parent.stdin, self._parent.stdout
        assert stdin is not None and stdout is not None
        print(json.dumps([arguments, str(folder), list(environments)]), file=stdin, flush=True)
        return subprocess.CompletedProcess(arguments, *json.loads(stdout.readline()))

    def close(self) -> None:
        self._parent.communicate()


class ForkedRanks:
    """Stands for torchrun's process: forks the processes that it would start."""

    def __init__(
        self, commands: ForkedCommands | None, command: list[str], env: Mapping[str, str], **_: Any
    ) -> None:
        """By these commands, or else from the process that calls."""
        at = command.index("--nproc-per-node")
        self._count, self._arguments = int(command[at + 1]), command[at + 3 :]
        self._commands, self._paths = commands, env["PYTHONPATH"]

    def wait(self, timeout: float | None = None) -> int:
        environments = ranks(self._count, self._paths)
        if self._commands is None:
            return forked(self._arguments, os.getcwd(), environments)
        done = self._commands.run(self._arguments, Path.cwd(), environments)
        print(done.stdout, done.stderr, file=sys.stderr)
        return int(done.returncode)


def without_torchrun(commands: ForkedCommands | None) -> Any:
    """What `distributed` needs of the module `subprocess`."""
    return SimpleNamespace(
        Popen=partial(ForkedRanks, commands), TimeoutExpired=subprocess.TimeoutExpired
    )


def ranks(count: int, paths: str) -> list[dict[str, str]]:
    """What torchrun tells its processes."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    told = {"WORLD_SIZE": count, "LOCAL_WORLD_SIZE": count, "GROUP_RANK": 0, "MASTER_PORT": port}
    told |= {"MASTER_ADDR": "127.0.0.1", "TORCHELASTIC_RUN_ID": "forked", "PYTHONPATH": paths}
    one = {name: str(value) for name, value in told.items()}
    return [one | {"RANK": str(rank), "LOCAL_RANK": str(rank)} for rank in range(count)]


def serve(modules: Sequence[str]) -> None:
    """Forks for every line that comes, and answers with exit code, stdout and stderr."""
    get_ready(modules)
    for line in sys.stdin:
        with tempfile.TemporaryFile("w+") as out, tempfile.TemporaryFile("w+") as err:
            code = forked(*json.loads(line), out.fileno(), err.fileno())
            for file in (out, err):
                file.seek(0)
            print(json.dumps([code, out.read(), err.read()]), flush=True)


def get_ready(modules: Sequence[str]) -> None:
    """What every command does first, done before the first one is forked."""
    import composed_once

    for module in modules:
        importlib.import_module(module)
    from graftwork.process import distributed
    from pipelines.overrides import check_all

    distributed.subprocess = without_torchrun(None)  # type: ignore[attr-defined]
    composed_once.install()
    # Grammar, plugins, and the files that most begin with. No class is built: which packages bring
    # components is asked once a process, and some children have others.
    for most in ([], ["model=tiny_cnn", "transfer=from_scratch"]):
        check_all(most, lambda _: None)
    gc.freeze()


def forked(
    arguments: list[str], folder: str, environments: Sequence[dict[str, str]],
    out: int = 1, err: int = 2,
) -> int:  # fmt: skip
    """The exit code of all, 0 or that of the first that failed: nobody waits for it in vain."""
    children: set[int] = set()
    for environment in environments:
        child = os.fork()
        if child == 0:
            become(arguments, folder, environment, out, err)
        children.add(child)
    failed = 0
    while children:
        child, status = os.wait()
        children.discard(child)
        if (code := os.waitstatus_to_exitcode(status)) and not failed:
            failed = code
            for other in children:
                os.kill(other, signal.SIGKILL)
    return failed


def become(
    arguments: list[str], folder: str, environment: Mapping[str, str], out: int, err: int
) -> NoReturn:
    """Is from here on `python -m ...` in that folder."""
    os.dup2(out, 1)
    os.dup2(err, 2)
    os.chdir(folder)
    os.environ.update(environment)
    paths = environment.get("PYTHONPATH", "").split(os.pathsep)
    sys.path[:1] = [folder, *filter(None, paths)]
    sys.argv = list(arguments)
    sys.modules.pop(arguments[0], None)  # runpy would warn of it
    code = 0
    try:
        runpy.run_module(arguments[0], run_name="__main__", alter_sys=True)
    except SystemExit as ended:
        code = ended.code if isinstance(ended.code, int) else int(ended.code is not None)
    except BaseException:
        traceback.print_exc()
        code = 1
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    os._exit(code)


if __name__ == "__main__":
    serve(sys.argv[1:])
