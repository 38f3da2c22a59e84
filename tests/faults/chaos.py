"""Kills at random, many of them: `make chaos`, which prints the seed that repeats it.

Real kills (SIGKILL) of processes that are forked from this one. What is measured: trainings that
went on and came to the same tensors, rows and facts; checkpoints lost by kills timed into writing,
or on a full disk; trainings kept when they were asked to end, their exit codes, and how long that
took.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import os
import random
import resource
import signal
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from cut_trainings import Trainings
from forked_processes import Forked
from rich.console import Console
from rich.table import Table
from tiny_transfer import draw_photos, save_weights

from graftwork.training.resuming import files

STRATEGIES: dict[str, tuple[str, ...]] = {
    "lp_ft": (),
    "gradual unfreezing": ("transfer=gradual_unfreeze",),
    "mixed pictures, EMA": ("transfer/objective=mixed", "transfer/average=ema"),
    "lora": ("transfer=lora",),
    "plateau, a new training": ("transfer/schedule=plateau", "trainer.refit=again"),
    "two loader workers": ("trainer.workers=2",),
    "two passes a step": ("trainer.batch_size=4", "trainer.accumulate=2"),
    "stored prefix": (
        *("transfer=freeze_layers", "extraction.prefix=stored", "augmentation=none"),
        "transfer/average=soup",
    ),
    "folds": ("selection.folds=2",),
}
EACH = 6  # kills of a training before it is let through
PATCH = pytest.MonkeyPatch()


class Chaos:
    """Trials with one source of chance, and what came of them."""

    def __init__(self, seed: int, place: Path) -> None:
        self.random, self.place, self.rows = random.Random(seed), place, list[tuple[str, str]]()
        draw_photos(place / "photos")
        save_weights(place / "weights.pth")

    def trainings(self, *overrides: str) -> Trainings:
        photos, weights = self.place / "photos", self.place / "weights.pth"
        with contextlib.redirect_stdout(io.StringIO()):
            return Trainings(photos, weights, self.new("project"), "transfer.epochs=3", *overrides)

    def new(self, what: str) -> Path:
        return self.place / f"{what} {self.random.getrandbits(48):x}"

    def forked(self, work: Callable[[], Any], processes: int = 1) -> Forked:
        return Forked(work, self.new("process"), processes)

    def killed(self, kills: int, processes: int) -> tuple[int, int]:
        """Kills, and those of them after which the end was that of the training let alone."""
        done = same = 0
        names = list(STRATEGIES)
        while done < kills:
            name = names[(done // EACH) % len(names)]
            several = ("trainer.processes=2", "trainer.batch_size=6") if processes > 1 else ()
            trainings = self.trainings(*STRATEGIES[name], *several)
            whole = self._whole(trainings, processes)
            folder, number = self.new("kept"), min(EACH, kills - done)
            for _ in range(number):
                self._cut(trainings, folder, processes)
            last = self.forked(lambda: trainings.run(folder, PATCH, None, 2), processes)  # noqa: B023
            equal = last.wait() == [0] * processes and last.value == whole
            done, same = done + number, same + number * equal
            said = "the same" if equal else "NOT THE SAME"
            print(f"  {name}, {processes} processes: {number} kills, {said}", flush=True)
        return done, same

    def _whole(self, trainings: Trainings, processes: int) -> Any:
        whole = self.forked(lambda: trainings.run(None, PATCH), processes)
        assert whole.wait() == [0] * processes
        return whole.value

    def _cut(self, trainings: Trainings, folder: Path, processes: int) -> None:
        step, rank = self.random.randrange(1, 5), str(self.random.randrange(processes))

        def kill() -> None:
            if os.environ.get("RANK", "0") == rank:
                os.kill(os.getpid(), signal.SIGKILL)

        self.forked(lambda: trainings.run(folder, PATCH, step, 2, kill), processes).wait_for_first()

    def writes(self, kills: int) -> tuple[int, int]:
        """Kills at a random moment of writing a checkpoint, and last good ones lost by them."""
        lost = 0
        for _ in range(kills):
            folder, last = self._two()
            at = self.random.randrange(12)
            self.forked(lambda: dying_after(at, lambda: write(folder, 3))).wait()  # noqa: B023
            found = files.newest(folder)
            lost += found is None or found["number"] < last
        return kills, lost

    def full_disks(self, trials: int) -> tuple[int, int]:
        lost = 0
        for _ in range(trials):
            folder, last = self._two()
            most = self.random.randrange(2**18)

            def work() -> None:
                resource.setrlimit(resource.RLIMIT_FSIZE, (most, most))  # noqa: B023
                with contextlib.suppress(OSError):
                    write(folder, 3)  # noqa: B023

            assert self.forked(work).wait() == [0]
            found = files.newest(folder)
            lost += found is None or found["number"] != last
        return trials, lost

    def _two(self) -> tuple[Path, int]:
        folder = self.new("files")
        for number in (1, 2):
            write(folder, number)
        return folder, 2

    def asked(self, trials: int) -> tuple[int, int, float]:
        """Requests to end, those that were kept with the right code, and the longest time."""
        kept, longest = 0, 0.0
        by_number = {n: self.trainings("trainer.refit=never", "trainer.batch_size=6",
                                       f"trainer.processes={n}") for n in (1, 2)}  # fmt: skip
        whole = {n: self._whole(trainings, n) for n, trainings in by_number.items()}
        for trial in range(trials):
            processes, ranks = ((1, "0"), (2, "0"), (2, "1"), (2, "01"))[trial % 4]
            number = self.random.choice((signal.SIGTERM, signal.SIGINT, signal.SIGUSR1))
            step, folder = self.random.randrange(6), self.new("kept")
            trainings = by_number[processes]

            def ask() -> None:
                if os.environ.get("RANK", "0") in ranks:  # noqa: B023
                    (folder.parent / f"{folder.name} asked").write_text(str(time.time()))  # noqa: B023
                    os.kill(os.getpid(), number)  # noqa: B023

            stopped = self.forked(lambda: trainings.run(folder, PATCH, step, 100, ask), processes)  # noqa: B023
            codes = stopped.wait()
            asked_at = float((folder.parent / f"{folder.name} asked").read_text())
            longest = max(longest, time.time() - asked_at)
            last = self.forked(lambda: trainings.run(folder, PATCH), processes)  # noqa: B023
            equal = last.wait() == [0] * processes and last.value == whole[processes]
            kept += equal and codes == [128 + number] * processes
        return trials, kept, longest


def write(folder: Path, number: int) -> None:
    weights = torch.full((2**16,), float(number))
    files.write(folder, f"{number:03d}", {"number": number, "weights": weights}, {})


def dying_after(calls: int, work: Callable[[], None]) -> None:
    """Does it, and is killed after so many calls that write, wait for the disk, or rename."""
    left = [calls]

    def deadly(real: Callable[..., Any]) -> Callable[..., Any]:
        def call(*given: Any, **named: Any) -> Any:
            if not left[0]:
                os.kill(os.getpid(), signal.SIGKILL)
            left[0] -= 1
            return real(*given, **named)

        return call

    files._Hashed.write = deadly(files._Hashed.write)  # type: ignore[method-assign]
    os.fsync, os.replace = deadly(os.fsync), deadly(os.replace)
    Path.replace = deadly(Path.replace)  # type: ignore[method-assign]
    work()


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Without what forked trainings print."""
    kept = os.dup(2)
    with Path(os.devnull).open("w") as nothing:
        os.dup2(nothing.fileno(), 2)
        try:
            yield
        finally:
            os.dup2(kept, 2)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(2**32))
    parser.add_argument("--kills", type=int, default=50, help="of one process; 2/5 of two")
    options = parser.parse_args()
    print(f"seed {options.seed} (repeats it: make chaos ARGS='--seed {options.seed}')")
    torch.set_num_threads(1)
    table = Table("what", "trials", "as they should be")
    with tempfile.TemporaryDirectory() as place, quiet():
        chaos, kills = Chaos(options.seed, Path(place)), options.kills
        for processes, number in ((1, kills), (2, 2 * kills // 5)):
            done, same = chaos.killed(number, processes)
            table.add_row(
                f"killed, {processes} process(es), went on bit-identically", str(done), str(same)
            )
        done, lost = chaos.writes(kills)
        table.add_row(
            "killed while writing a checkpoint, the last good one stands",
            str(done),
            str(done - lost),
        )
        done, lost = chaos.full_disks(max(1, kills // 10))
        table.add_row("a full disk, the last good one stands", str(done), str(done - lost))
        done, kept, longest = chaos.asked(2 * kills // 5)
        table.add_row(
            f"asked to end, kept, exit code, went on (longest {longest:.1f} s)",
            str(done),
            str(kept),
        )
    Console(width=100).print(table)


if __name__ == "__main__":
    main()
