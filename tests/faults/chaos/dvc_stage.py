"""A stage under DVC, and what may be done to it."""

from __future__ import annotations

import contextlib
import hashlib
import random
import signal
import subprocess
import sys
import time
from functools import cached_property
from pathlib import Path

import psutil
import yaml
from cloned_project import environment
from faults.chaos.ground import same

STAGE = "finetune"
# What it writes and is the same every time.
WRITTEN = ("model", "reports/selection", "reports/selection.json", "reports/history.csv")
READ = ("data/manifest.parquet", "data/classes.json", "model", "reports/selection")


class Stage:
    """One stage of a project whose stages have run."""

    def __init__(self, project: Path, chance: random.Random) -> None:
        self.project, self.random = project, chance

    @cached_property
    def wanted(self) -> dict[str, str]:
        """What the stage has written where nothing was done to it."""
        return self.written()

    @cached_property
    def wanted_record(self) -> dict[str, str]:
        return self.recorded()

    def dvc_killed(self) -> bool:
        """The orphan ends; the second start is refused, or comes to the right end."""
        first = self.start("repro", "-f", "-s", STAGE)
        self.under_way(first)
        first.kill()
        second = self.start("repro", "-f", "-s", STAGE)
        second.communicate()
        first.communicate()
        if second.returncode == 0:
            return self.is_right()
        return self.recorded_right() and self.again()

    def twice(self) -> bool:
        both = [self.start("repro", "-f", "-s", STAGE) for _ in range(2)]
        for one in both:
            one.communicate()
        return 0 in {one.returncode for one in both} and self.is_right()

    def beside(self) -> bool:
        first = self.start("repro", "-f", "-s", STAGE)
        self.under_way(first)
        by_hand = subprocess.run(
            [sys.executable, "-m", f"pipelines.{STAGE}"], cwd=self.project,
            env=environment(self.project), capture_output=True, text=True,
        )  # fmt: skip
        first.communicate()
        refused = [by_hand.returncode == 2, first.returncode != 0]
        return any(refused) and (self.is_right() if not refused[1] else self.again())

    def ended(self) -> bool:
        first = self.start("repro", "-f", "-s", STAGE)
        process = self.under_way(first)
        number = self.random.choice((signal.SIGTERM, signal.SIGKILL))
        if not process.is_running():  # it was too quick: once more
            first.communicate()
            return self.ended()
        process.send_signal(number)
        first.communicate()
        return first.returncode != 0 and self.recorded_right()

    def damaged(self) -> bool:
        """Some bytes of an object of the cache, which DVC checks out: nobody computes with it."""
        out = self.random.choice(READ)
        path = next(iter(sorted(self.files(out))))
        digest = hashlib.md5(path.read_bytes()).hexdigest()
        kept = self.project / ".dvc/cache/files/md5" / digest[:2] / digest[2:]
        content = bytearray(kept.read_bytes())
        content[self.random.randrange(len(content))] ^= 1 << self.random.randrange(8)
        kept.chmod(0o644)
        kept.write_bytes(content)
        kept.chmod(0o444)
        path.unlink()
        self.done("checkout", "-f", out)
        code, said = self.done("repro", "-f", "-s", "evaluate")
        noticed = code != 0 and Path(out).name.split(".")[0] in said
        kept.unlink(missing_ok=True)
        self.done("repro", "-f", "-s", "prepare" if out.startswith("data") else STAGE)
        return noticed and self.is_right()

    def again(self) -> bool:
        """Whether the next start brings all into order."""
        return self.done("repro", "-s", STAGE)[0] == 0 and self.is_right()

    def is_right(self) -> bool:
        return same(self.written(), self.wanted) and self.recorded_right()

    def recorded_right(self) -> bool:
        """Whether DVC has recorded no other content than what is right."""
        wanted = self.wanted_record
        return all(wanted[name] == md5 for name, md5 in self.recorded().items())

    def recorded(self) -> dict[str, str]:
        lock = yaml.safe_load((self.project / "dvc.lock").read_text())["stages"]
        outs = {each["path"]: each["md5"] for each in lock.get(STAGE, {}).get("outs", [])}
        return {name: md5 for name, md5 in outs.items() if name in WRITTEN}

    def written(self) -> dict[str, str]:
        return {
            str(path.relative_to(self.project)): hashlib.sha256(path.read_bytes()).hexdigest()
            for out in WRITTEN
            for path in self.files(out)
        }

    def files(self, out: str) -> list[Path]:
        place = self.project / out
        return [path for path in (place, *place.rglob("*")) if path.is_file()]

    def start(self, *words: str) -> subprocess.Popen[str]:
        command = [sys.executable, "-m", "dvc", *words]
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
        return subprocess.Popen(command, cwd=self.project, env=environment(self.project), **pipes)

    def done(self, *words: str) -> tuple[int, str]:
        process = self.start(*words)
        said, _ = process.communicate()
        return process.returncode, said

    def under_way(self, dvc: subprocess.Popen[str]) -> psutil.Process:
        """The stage's process, at a random moment of its work."""
        while dvc.poll() is None:
            if (child := _stage_of(dvc.pid)) is not None:
                time.sleep(self.random.uniform(0, 1.5))
                return child
            time.sleep(0.02)
        raise RuntimeError("the stage never began")


def _stage_of(dvc: int) -> psutil.Process | None:
    """The stage's own process; DVC and the shell between have its name in their words, too."""
    with contextlib.suppress(psutil.Error):  # one that ends just now
        for child in psutil.Process(dvc).children(recursive=True):
            if child.cmdline()[-2:] == ["-m", f"pipelines.{STAGE}"]:
                return child
    return None
