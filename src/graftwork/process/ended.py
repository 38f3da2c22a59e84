"""How processes that torchrun started tell whoever started it that they were asked to end.

torchrun turns every exit code into 1 and shows a traceback. So processes that end by agreement say
so in a file, and leave with 0: torchrun is content, and whoever started it reads the file.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

FILE = "GRAFTWORK_ENDED"  # environment: where the exit code is written
FAILED = ".failed"  # the file beside it that the first process to fail makes


def note(code: int) -> None:
    """Every process calls it, where all of them end; nothing where torchrun did not start this, or
    where one has failed: torchrun ends the others then."""
    if (path := os.environ.get(FILE)) is not None and not Path(f"{path}{FAILED}").exists():
        own = Path(f"{path}.{os.getpid()}")
        own.write_text(str(code))
        own.replace(path)


def first_to_tell() -> bool:
    """Whether this process is the one that says what went wrong: of several the first to fail, from
    which follows what happens to the others."""
    if (path := os.environ.get(FILE)) is None:
        return os.environ.get("RANK", "0") == "0"
    try:
        Path(f"{path}{FAILED}").open("x").close()
    except FileExistsError:
        return False
    return True


def exit_code(code: int) -> int:
    """What this process leaves with, which was asked to end with `code`."""
    if (path := os.environ.get(FILE)) is None:
        return code
    if Path(path).exists():
        return 0
    note(code)  # it alone ends: torchrun is to end the others
    return code


class Told:
    """The exit code that the processes were asked to end with; 0: none was."""

    def __init__(self, path: Path) -> None:
        self.environment = {FILE: str(path)}
        self._path = path

    @property
    def code(self) -> int:
        return int(self._path.read_text()) if self._path.exists() else 0


@contextmanager
def told() -> Iterator[Told]:
    """For the processes that are started within this context."""
    with TemporaryDirectory(prefix="graftwork-") as folder:
        yield Told(Path(folder) / "ended")
