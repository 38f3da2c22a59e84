"""Loader processes that hang, stop or end, and too little shared memory: each is named in time."""

from __future__ import annotations

import dataclasses
import os
import signal
import time
from collections.abc import Callable
from multiprocessing import active_children
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from colour_trainings import Colours, pictures
from conftest import composed

from graftwork.config.components import build
from graftwork.config.errors import UserError
from graftwork.settings.trainer import Trainer
from graftwork.training import loader_faults
from graftwork.training.loader_faults import check_room, named_faults


def settings(**changes: Any) -> Trainer:
    found = build(composed("trainer.workers=2")["trainer"], Trainer, "trainer")
    return dataclasses.replace(found, **changes)


@pytest.mark.parametrize(
    ("trouble", "said"),
    [
        (lambda: time.sleep(60), "gave no batch for 1 s .*hangs"),
        (lambda: os.kill(os.getpid(), signal.SIGSTOP), "gave no batch for 1 s .*was stopped"),
        (lambda: os.kill(os.getpid(), signal.SIGKILL), "was ended from outside"),
    ],
)
def test_a_process_that_gives_nothing_is_named_and_none_is_left(
    trouble: Callable[[], None], said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("torch.utils.data._utils.MP_STATUS_CHECK_INTERVAL", 0.1)

    class Troubled(Colours):
        def get(self, sha256: str, path: str) -> np.ndarray:
            if sha256 == "3":
                trouble()
            return super().get(sha256, path)

    data, trainer = pictures(workers=1, timeout=1), settings(workers=1, loader_timeout=1)
    data._fit._images = Troubled()  # type: ignore[attr-defined]
    wanted = f"trainer.workers: a loader process {said}.*workers=0"
    with pytest.raises(UserError, match=wanted), named_faults(trainer):
        list(data.train_dataloader())
    for child in active_children():  # as Python does when it ends
        child.terminate()
        child.join(5)
    assert not active_children()


def test_other_errors_are_left_as_they_are() -> None:
    for words, workers in (("shape mismatch", 2), ("DataLoader timed out after 1 seconds", 0)):
        with pytest.raises(RuntimeError, match=words), named_faults(settings(workers=workers)):
            raise RuntimeError(words)


def test_shared_memory_that_is_too_small_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wanted = r"dev/shm.* is too small .*2 loader.*trainer\.workers=1"
    with pytest.raises(UserError, match=wanted), named_faults(settings()):
        raise RuntimeError("unable to write to file </torch_1>: No space left on device (28)")
    monkeypatch.setattr(loader_faults, "SHARED", tmp_path)
    check_room(2, 1000)
    with pytest.raises(UserError, match=r"4 loader processes need .* MiB .*shm-size.*workers=2"):
        check_room(4, 2**50)
    check_room(0, 2**60)
    monkeypatch.setattr(loader_faults, "SHARED", tmp_path / "none")  # not Linux
    check_room(4, 2**60)
