from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import pytest

from graftwork.config.errors import UserError
from graftwork.recorders.base import Place, Recorder, Recording
from graftwork.recording.together import Together
from graftwork.settings.tracking import Tracking

PLACE = Place("name", "id", {}, Path("."), Path("."), resumed=False)


class Notes(Recording):
    run_id = "id"

    def __init__(self, fails: str = "") -> None:
        self.said: list[str] = []
        self.fails = fails

    def _note(self, what: str) -> None:
        if what.startswith(self.fails or " "):
            raise OSError("the disk is full\x1b[0m.")
        self.said.append(what)

    def log_metrics(self, values: Mapping[str, float], step: int = 0) -> None:
        self._note(f"metrics {step} {' '.join(values)}")

    def set_tags(self, tags: Mapping[str, str]) -> None:
        self._note(f"tags {' '.join(tags)}")

    def log_artifacts(self, path: Path, folder: str = "") -> None:
        self._note(f"artifacts {path}")

    def log_model(self, model: Path, example: bytes) -> None:
        self._note(f"model {model}")

    def log_params(self, params: Mapping[str, str]) -> None:
        self._note("params")

    def finish(self, status: str = "FINISHED") -> None:
        self._note(f"finish {status}")


@dataclass(frozen=True)
class Keeps(Recorder):
    PACKAGE: ClassVar[str] = "no_such_package_here"
    EXTRA: ClassVar[str] = "keeps"

    notes: object

    def open(self, place: Place) -> Recording:
        if isinstance(self.notes, Exception):
            raise self.notes
        assert isinstance(self.notes, Recording)
        return self.notes


def tell_everything(run: Recording) -> None:
    with run:
        run.log_params({"a": "b"})
        run.log_metrics({"val/top1": 1.0}, 3)
        run.log_cost({"finetune": {"seconds": 1.0}})
        run.log_artifacts(Path("x"))
        run.log_model(Path("m"), b"")


def test_each_is_told_everything() -> None:
    first, second, third = Notes(), Notes(), Notes()
    tell_everything(Together(first, {"a": Keeps(second), "b": Keeps(third)}, PLACE))
    assert first.said == second.said == third.said == [
        "params", "metrics 3 val/top1", "metrics 0 cost/finetune/seconds", "artifacts x",
        "model m", "finish FINISHED",
    ]  # fmt: skip


def test_one_that_fails_is_named_once_and_costs_the_others_nothing(
    caplog: pytest.LogCaptureFixture,
) -> None:
    first, broken, whole = Notes(), Notes(fails="metrics"), Notes()
    recorders = {"broken": Keeps(broken), "away": Keeps(OSError("away.")), "whole": Keeps(whole)}
    with caplog.at_level(logging.WARNING):
        tell_everything(Together(first, recorders, PLACE))
    assert first.said == whole.said and first.said[-1] == "finish FINISHED"
    assert broken.said == ["params"]
    assert [record.getMessage() for record in caplog.records] == [
        "tracking.recorders.away: away. Nothing more is recorded there.",
        r"tracking.recorders.broken: the disk is full\x1b[0m. Nothing more is recorded there.",
    ]


def test_what_ends_a_run_is_told_to_all() -> None:
    first, second = Notes(), Notes()
    with pytest.raises(KeyboardInterrupt), Together(first, {"a": Keeps(second)}, PLACE):
        raise KeyboardInterrupt
    assert first.said == second.said == ["tags error", "finish KILLED"]


def test_a_missing_package_is_named_with_its_extra() -> None:
    tracking = Tracking(None, "group", False, {"mine": Keeps(None)})
    with pytest.raises(UserError) as error:
        tracking.check()
    assert str(error.value) == (
        "tracking.recorders.mine: the package no_such_package_here is missing. Install it: "
        "`pip install 'graftwork[keeps]'`, or leave this recorder out."
    )
