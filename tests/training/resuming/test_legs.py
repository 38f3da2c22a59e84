"""When a checkpoint is due: a kill costs an epoch at most, and writing its share of the time."""

from __future__ import annotations

from pathlib import Path

import pytest

from graftwork.training.resuming import legs
from graftwork.training.resuming.legs import SHARE, SPEED, Clock, Legs


@pytest.fixture
def passed(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The seconds that it is, to be set."""
    now = [0.0]
    monkeypatch.setattr(legs.time, "monotonic", lambda: now[0])
    return now


def clock(minutes: float | None, steps: int | None = None, seconds: float = 0.0) -> Clock:
    return Clock(Legs(Path("."), minutes, steps, None), round(seconds * SPEED))


def test_it_is_due_at_an_epochs_end_and_within_a_long_one(passed: list[float]) -> None:
    told = clock(minutes=5)
    passed[0] = 299.0
    assert told.is_due(epoch_ended=True) and not told.is_due(epoch_ended=False)
    passed[0] = 300.0
    assert told.is_due(epoch_ended=False)


def test_writing_takes_no_more_than_its_share(passed: list[float]) -> None:
    told = clock(minutes=0.001, seconds=1.0)  # guessed before the first was written
    passed[0] = 0.99 / SHARE
    assert not told.is_due(epoch_ended=True)
    passed[0] = 1.01 / SHARE
    assert told.is_due(epoch_ended=True)
    with told.writing():
        passed[0] += 3.0
    passed[0] += 2.9 / SHARE
    assert not told.is_due(epoch_ended=True)


def test_steps_alone_ask_for_none_at_an_epochs_end(passed: list[float]) -> None:
    told = clock(minutes=None, steps=2)
    passed[0] = 1e6
    assert not told.is_due(epoch_ended=True) and told.is_due(epoch_ended=False)
