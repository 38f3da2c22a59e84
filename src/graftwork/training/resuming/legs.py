"""The legs of a training: what is done is passed over, what was under way goes on.

One fine-tuning trains one network or several, one after the other: without each fold, then with
all pictures. Each such leg is known by all that decides its result, its first weights included, so
that a leg that somebody else began, or that settings have changed since, is never taken for it.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from graftwork.features.engines.keys import digest
from graftwork.process.installed import releases
from graftwork.settings.trainer import SKIP
from graftwork.storage.files import write_durably
from graftwork.training.flight_record import RECORD
from graftwork.training.resuming import files
from graftwork.training.resuming.files import State
from graftwork.training.resuming.settings import plain

LAYOUT = 1  # of what is written
SHARE = 0.02  # of a training's time that writing may take
SPEED = 100 * files.MB  # bytes/s of a slow disk, for a guess before anything has been written
RESULT = "result"


@dataclass(frozen=True)
class Legs:
    """Where the legs of one fine-tuning are kept.

    Attributes:
        folder: of its own; goes when the fine-tuning is done.
        minutes: between checkpoints; None: time asks for none.
        steps: between checkpoints; None: steps ask for none.
        looking_on: further callbacks, by leg and attempt, of trainings that are only looked at:
            nothing is written. None: they are trained.
    """

    folder: Path
    minutes: float | None
    steps: int | None
    looking_on: Mapping[tuple[str, int], Sequence[Any]] | None

    def onlookers(self, leg: str, attempt: int) -> Sequence[Any]:
        return () if self.looking_on is None else self.looking_on.get((leg, attempt), ())

    def leg(self, *facts: object, skips: bool = False) -> Leg:
        """The leg whose result follows from these facts, code and libraries apart.

        Args:
            skips: whether it passes over steps. Until it has done so, it is the one that does not.
        """
        versions = releases("torch", "timm", "pytorch-lightning", "torchmetrics", "albumentations")
        key = digest([LAYOUT, versions, [plain(fact) for fact in facts]])
        found = Leg(self.folder / key, self, None)
        return Leg(self.folder / f"{key}-{SKIP}", self, found) if skips else found


@dataclass(frozen=True)
class Leg:
    """One training of a network.

    Attributes:
        like: one that is the same as far as it came; None: there is none.
    """

    folder: Path
    legs: Legs
    like: Leg | None

    def result(self) -> State | None:
        """What `finish` wrote, as far as this process needs it; None: it has not ended yet."""
        found = files.newest(self.folder / RESULT)
        return self.like.result() if found is None and self.like is not None else found

    def latest(self) -> State | None:
        """The newest checkpoint of it that is whole; None where there is none."""
        found = files.newest(self.folder)
        return self.like.latest() if found is None and self.like is not None else found

    def write(self, name: str, shared: State, own: State) -> None:
        """See `files.write`."""
        if self.legs.looking_on is None:
            files.write(self.folder, name, shared, own)

    def record(self, facts: Mapping[str, object]) -> None:
        """Writes down a step that was not taken, beside the checkpoints."""
        if self.legs.looking_on is None:
            write_durably(self.folder / RECORD, (json.dumps(facts, indent=1) + "\n").encode())

    def finish(self, state: State) -> None:
        """Keeps its result, and none of its checkpoints."""
        if self.legs.looking_on is not None:
            return
        files.write(self.folder / RESULT, RESULT, {}, state)
        for path in self.folder.glob("*.*"):
            if path.is_file():
                path.unlink(missing_ok=True)

    def worth_keeping(self, seconds: float, state: Mapping[str, torch.Tensor]) -> bool:
        """Whether writing a result costs little beside the time that it took."""
        return self.legs.steps is not None or seconds * SHARE > bytes_of(state) / SPEED


class Clock:
    """When the next checkpoint is due: at an epoch's end, and within a long one.

    Args:
        size: bytes of one, from which its seconds are guessed before any was written.
    """

    def __init__(self, legs: Legs, size: int) -> None:
        self._legs, self._steps = legs, 0
        self._last, self._cost = time.monotonic(), size / SPEED

    def is_due(self, epoch_ended: bool) -> bool:
        """Told after each step. Never so often that writing takes more than its share."""
        self._steps += 1
        minutes, steps = self._legs.minutes, self._legs.steps
        if steps is not None and self._steps >= steps:
            return True
        if minutes is None:
            return False
        waited = time.monotonic() - self._last
        return waited >= max(0 if epoch_ended else 60 * minutes, self._cost / SHARE)

    @contextmanager
    def writing(self) -> Iterator[None]:
        """Around each try to write one."""
        begun = time.monotonic()
        try:
            yield
        finally:
            self._last, self._steps = time.monotonic(), 0
            self._cost = self._last - begun


def bytes_of(state: Mapping[str, torch.Tensor]) -> int:
    return sum(tensor.numel() * tensor.element_size() for tensor in state.values())


def digest_of(state: Mapping[str, torch.Tensor]) -> str:
    """sha256 of the tensors' values and names."""
    found = hashlib.sha256()
    for name, tensor in state.items():
        found.update(f"{name} {tensor.dtype} {list(tensor.shape)}".encode())
        found.update(tensor.detach().cpu().contiguous().view(-1).view(torch.uint8).numpy().data)
    return found.hexdigest()
