"""Two processes by torchrun, as a user starts them: whoever is asked or stopped, none is left."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest
from conftest import CONF
from cut_trainings import SETTINGS
from tiny_experiment import tiny_experiment
from tiny_transfer import draw_photos, save_weights, transfer_params

pytestmark = pytest.mark.slow
LIMIT = 30  # seconds: processes begin at different moments


class Tree:
    """A stage, torchrun below it, and the two that it has started."""

    def __init__(self, process: subprocess.Popen[str], log: Path) -> None:
        self.process, self._log = process, log
        while "epoch 3/" not in self.said:
            assert process.poll() is None, self.said
            time.sleep(0.2)
        self.stage = psutil.Process(process.pid)
        (self.torchrun,) = self.stage.children()
        self.ranks = sorted(self.torchrun.children(), key=lambda each: each.environ()["RANK"])
        assert len(self.ranks) == 2

    @property
    def said(self) -> str:
        return self._log.read_text()

    def end(self) -> tuple[int, float]:
        """The exit code, and after how many seconds all of them were gone."""
        begun = time.monotonic()
        code = self.process.wait(LIMIT + 60)
        _, left = psutil.wait_procs([self.torchrun, *self.ranks], timeout=5)
        assert not left
        return code, time.monotonic() - begun


@contextmanager
def training(place: Path) -> Iterator[Tree]:
    draw_photos(place / "photos")
    save_weights(place / "weights.pth")
    params = transfer_params(
        place / "photos", place / "weights.pth", *SETTINGS,
        "trainer.processes=2", "trainer.batch_size=6", "transfer.epochs=3000",
        f"trainer.group_timeout={LIMIT}",
    )  # fmt: skip
    root = str(tiny_experiment(params, place / "run")[1].root)
    command = [sys.executable, "-m", "pipelines.finetune", "--root", root, "--shared", root]
    log = place / "log"
    with (
        log.open("w") as said,
        subprocess.Popen(
            command, cwd=CONF.parent, stdout=said, stderr=said, text=True, env=dict(os.environ)
        ) as process,
    ):
        try:
            yield Tree(process, log)
        finally:
            if process.poll() is None:
                for each in psutil.Process(process.pid).children(recursive=True):
                    each.kill()
                process.kill()


@pytest.mark.parametrize(("who", "stopped"), [("stage", True), ("torchrun", False)])
def test_asked_alone_all_are_kept_and_end(who: str, stopped: bool, tmp_path: Path) -> None:
    """Also one that is stopped: whoever is asked lets it go on."""
    with training(tmp_path) as tree:
        if stopped:
            tree.ranks[1].suspend()
        getattr(tree, who).send_signal(signal.SIGTERM)
        code, seconds = tree.end()
        assert code == 143 and "training is kept after" in tree.said
        assert seconds < 10


def test_one_that_is_stopped_is_named_within_the_limit(tmp_path: Path) -> None:
    with training(tmp_path) as tree:
        tree.ranks[1].suspend()
        code, seconds = tree.end()
        assert code == 2 and seconds < LIMIT + 20, (code, seconds)
        assert f"has not answered for {LIMIT} s (trainer.group_timeout)" in tree.said
