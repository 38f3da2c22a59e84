"""Package registries through the client that the user has configured: pip, npm."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from graftwork.config.errors import UserError
from graftwork.process.progress import bytes_bar

ATTEMPTS = 3
BACKOFF = 1.0  # seconds before the second attempt; doubles with each
POLL = 0.1  # seconds between two looks at what has arrived
# No use in asking again. "from versions: none" may just mean that the index was not reached.
FINAL = re.compile(r"E404|ETARGET|No module named pip|404 Client Error|from versions: (?!none)")


def fetch_with(
    command: Sequence[str], title: str, arrives: str, target: Path, size: int, remedy: str
) -> None:
    """Runs a client until the file that it fetches lies at `target`.

    The client works in a folder of its own beside the target, which is removed.

    Args:
        command: `{folder}` in it stands for that folder.
        title: the command in short, for the progress bar and messages.
        arrives: pattern of the file that the client leaves there.
        size: bytes expected, for the progress bar.
        remedy: what the user can do when it fails.

    Raises:
        UserError: the client is missing, or fails; its own last word is named.
    """
    for attempt in range(ATTEMPTS):
        with tempfile.TemporaryDirectory(dir=target.parent, prefix="client-") as name:
            folder = Path(name)
            failure = _run(
                [part.format(folder=folder) for part in command], folder, title, size, remedy
            )
            found = sorted(folder.glob(arrives))
            if not failure and len(found) == 1:
                os.replace(found[0], target)
                return
            failure = failure or f"{len(found)} files like {arrives} came, one was expected"
        if attempt + 1 == ATTEMPTS or FINAL.search(failure):
            break
        time.sleep(BACKOFF * 2**attempt)
    raise UserError(f"`{title}` failed: {failure}. {remedy}")


def _run(command: list[str], folder: Path, title: str, size: int, remedy: str) -> str:
    """The client's last word if it failed, else nothing."""
    program = shutil.which(command[0])
    if program is None:
        raise UserError(f"{command[0]}: not installed. {remedy}")
    log = folder / ".log"
    # TMPDIR: what is in flight lies where its growth can be seen, and is removed with the folder.
    environment = os.environ | {"TMPDIR": str(folder), "PIP_RESUME_RETRIES": "5"}
    with log.open("wb") as out:
        process = subprocess.Popen(
            [program, *command[1:]], cwd=folder, env=environment, stdout=out, stderr=out
        )
        try:
            with bytes_bar(title, size) as seen:
                while process.poll() is None:
                    seen(min(_arrived(folder), size))
                    time.sleep(POLL)
        finally:
            if process.poll() is None:
                process.terminate()
                process.wait()
    return _last_word(log.read_text(errors="replace")) if process.returncode else ""


def _arrived(folder: Path) -> int:
    total = 0
    for path in folder.rglob("*"):
        try:
            total += path.stat().st_size
        except OSError:  # the client moved it while we looked
            continue
    return total


def _last_word(log: str) -> str:
    """The lines that say why, without credentials in URLs."""
    lines = [re.sub(r"(?i)^npm err(or|!) ?", "npm: ", line.strip()) for line in log.splitlines()]
    lines = [line for line in lines if line and "complete log" not in line]
    errors = [line for line in lines if re.match(r"(?i)npm: .|error\b", line)] or lines[-1:]
    if "from versions: none" in log:  # what pip calls the error hides that nobody answered
        causes = re.findall(r"Retrying .*?(?:<[^>]*>: )?([^<>']+)'\)", log)
        errors = [*causes[-1:], *errors[-1:]]
    text = " ".join(dict.fromkeys(errors[:3])) or "no message"
    return re.sub(r"//[^/\s@]+@", "//", text)[:600].rstrip(".")
