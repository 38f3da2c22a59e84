"""Trainings that are killed, or asked to end, and go on: they end as one that was let alone."""

from __future__ import annotations

import contextlib
import io
import os
import signal
import time
from collections.abc import Iterator
from typing import Any

import pytest
from cut_trainings import Trainings
from faults.chaos.ground import Ground, Row
from untrained_model import save_model

STRATEGIES: dict[str, tuple[str, ...]] = {
    "lp_ft": (),
    "gradual unfreezing": ("transfer=gradual_unfreeze",),
    "mixed pictures, EMA": ("transfer/objective=mixed", "transfer/average=ema"),
    "lora": ("transfer=lora",),
    "distillation": ("transfer=distil", "augmentation=light"),
    "plateau, a new training": ("transfer/schedule=plateau", "trainer.refit=again"),
    "two loader workers": ("trainer.workers=2",),
    "two passes a step": ("trainer.batch_size=4", "trainer.accumulate=2"),
    "stored prefix": (
        *("transfer=freeze_layers", "extraction.prefix=stored", "augmentation=none"),
        "transfer/average=soup",
    ),
    "folds": ("selection.folds=2",),
}
EACH = 5  # kills of a training before it is let through
ASKED = ((1, "0"), (2, "0"), (2, "1"), (2, "01"))  # processes, and those of them that are asked
PATCH = pytest.MonkeyPatch()


def rows(ground: Ground, kills: int) -> Iterator[Row]:
    yield killed(ground, kills, 1)
    yield killed(ground, 2 * kills // 5, 2)
    yield asked(ground, 2 * kills // 5)


def made(ground: Ground, *overrides: str) -> Trainings:
    project = ground.new("project")
    if "transfer=distil" in overrides:
        overrides = (*overrides, f"transfer.penalties.distil.teacher={teacher(ground)}")
    with contextlib.redirect_stdout(io.StringIO()):
        return Trainings(ground.photos, ground.weights, project, "transfer.epochs=3", *overrides)


def teacher(ground: Ground) -> str:
    """The folder of a run with a model, made once."""
    folder = ground.place / "teacher"
    if not folder.exists():
        with contextlib.redirect_stdout(io.StringIO()):
            trainings = Trainings(ground.photos, ground.weights, folder, "transfer=fine_tune")
        save_model(trainings.experiment, trainings.artifacts)
    return str(folder)


def killed(ground: Ground, kills: int, processes: int) -> Row:
    """Kills, and those of them after which the end was that of the training let alone."""
    done = held = 0
    names = list(STRATEGIES)
    while done < kills:
        name = names[(done // EACH) % len(names)]
        several = ("trainer.processes=2", "trainer.batch_size=6") if processes > 1 else ()
        trainings = made(ground, *STRATEGIES[name], *several)
        whole = _whole(ground, trainings, processes)
        folder, number = ground.new("kept"), min(EACH, kills - done)
        for _ in range(number):
            _cut(ground, trainings, folder, processes)
        last = ground.forked(lambda: trainings.run(folder, PATCH, None, 2), processes)  # noqa: B023
        equal = last.wait() == [0] * processes and last.value == whole
        done, held = done + number, held + number * equal
        said = "the same" if equal else "NOT THE SAME"
        print(f"  {name}, {processes} processes: {number} kills, {said}", flush=True)
    who = "one process" if processes == 1 else "one of two processes"
    what = f"{who} killed by -9 at a random step: goes on to the same tensors, rows and facts"
    stock = "killed, one process" if processes == 1 else "killed, two processes"
    return Row(what, done, held, stock=stock)


def _whole(ground: Ground, trainings: Trainings, processes: int) -> Any:
    whole = ground.forked(lambda: trainings.run(None, PATCH), processes)
    assert whole.wait() == [0] * processes
    return whole.value


def _cut(ground: Ground, trainings: Trainings, folder: Any, processes: int) -> None:
    step, rank = ground.random.randrange(1, 5), str(ground.random.randrange(processes))

    def kill() -> None:
        if os.environ.get("RANK", "0") == rank:
            os.kill(os.getpid(), signal.SIGKILL)

    ground.forked(lambda: trainings.run(folder, PATCH, step, 2, kill), processes).wait_for_first()


def asked(ground: Ground, trials: int) -> Row:
    """Requests to end, and those that were kept with the right code and went on."""
    kept, longest = 0, 0.0
    by_number = {
        n: made(ground, "trainer.refit=never", "trainer.batch_size=6", f"trainer.processes={n}")
        for n in (1, 2)
    }
    whole = {n: _whole(ground, trainings, n) for n, trainings in by_number.items()}
    for trial in range(trials):
        processes, ranks = ASKED[trial % 4]
        number = ground.random.choice((signal.SIGTERM, signal.SIGINT, signal.SIGUSR1))
        step, folder = ground.random.randrange(6), ground.new("kept")
        trainings, note = by_number[processes], folder.parent / f"{folder.name} asked"

        def ask() -> None:
            if os.environ.get("RANK", "0") in ranks:  # noqa: B023
                note.write_text(str(time.time()))  # noqa: B023
                os.kill(os.getpid(), number)  # noqa: B023

        stopped = ground.forked(lambda: trainings.run(folder, PATCH, step, 100, ask), processes)  # noqa: B023
        codes = stopped.wait()
        longest = max(longest, time.time() - float(note.read_text()))
        last = ground.forked(lambda: trainings.run(folder, PATCH), processes)  # noqa: B023
        equal = last.wait() == [0] * processes and last.value == whole[processes]
        kept += equal and codes == [128 + number] * processes
    what = "SIGTERM, SIGINT or SIGUSR1 to one process, each rank, both: kept, exit code, goes on"
    return Row(what, trials, kept, f"the longest {longest:.1f} s", stock="asked to end")
