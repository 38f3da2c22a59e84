"""Commands in processes of their own, forked from one that has imported the libraries already.

A command that refuses its input is done in a moment; a new interpreter would import for a second.
"""

from __future__ import annotations

import gc
import json
import os
import runpy
import subprocess
import sys
import tempfile
import traceback
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Any, NoReturn


class ForkedCommands:
    """Takes `python -m ...` to run, until closed."""

    def __init__(self, env: Mapping[str, str]) -> None:
        pipes: dict[str, Any] = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
        self._parent = subprocess.Popen([sys.executable, __file__], env=env, **pipes)

    def run(self, arguments: list[str], folder: Path) -> subprocess.CompletedProcess:
        stdin, stdout = self._parent.stdin, self._parent.stdout
        assert stdin is not None and stdout is not None
        print(json.dumps([arguments, str(folder)]), file=stdin, flush=True)
        return subprocess.CompletedProcess(arguments, *json.loads(stdout.readline()))

    def close(self) -> None:
        self._parent.communicate()


def serve() -> None:
    """Forks for every line that comes, and answers with exit code, stdout and stderr."""
    get_ready()
    for line in sys.stdin:
        with tempfile.TemporaryFile("w+") as out, tempfile.TemporaryFile("w+") as err:
            child = os.fork()
            if child == 0:
                become(*json.loads(line), out, err)
            code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
            for file in (out, err):
                file.seek(0)
            print(json.dumps([code, out.read(), err.read()]), flush=True)


def get_ready() -> None:
    """What every command does first, done before the first one is forked."""
    import composed_once
    from hydra import compose, initialize_config_dir

    import graftwork.experiment  # noqa: F401
    from pipelines import experiment

    composed_once.install()
    with initialize_config_dir(str(experiment.CONF), version_base=None):
        compose("config", ["model=tiny_cnn"])  # grammar, plugins and the files that all begin with
    gc.freeze()


def become(arguments: list[str], folder: str, out: IO[str], err: IO[str]) -> NoReturn:
    """Is from here on `python -m ...` in that folder."""
    for number, file in ((1, out), (2, err)):
        os.dup2(file.fileno(), number)
    os.chdir(folder)
    sys.path[0], sys.argv = folder, list(arguments)
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
    serve()
