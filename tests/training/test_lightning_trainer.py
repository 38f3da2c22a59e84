from __future__ import annotations

import dataclasses
import logging
import warnings
from pathlib import Path
from typing import Any

import pytest
import torch
from conftest import composed

from graftwork.config.components import build
from graftwork.config.errors import UserError
from graftwork.settings.trainer import Trainer
from graftwork.training.lightning_trainer import lightning, quiet, share_cores


def settings(name: str = "default", **changes: Any) -> Trainer:
    found = build(composed(f"trainer={name}")["trainer"], Trainer, "trainer")
    return dataclasses.replace(found, **changes)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"batch_size": 0}, "batch_size: 0"),
        ({"accumulate": 0}, "accumulate: 0"),
        ({"precision": "fp16"}, "precision: 'fp16' is unknown.*bf16"),
        ({"accelerator": "tpu"}, "accelerator: 'tpu' is unknown"),
        ({"refit": "maybe"}, "refit: 'maybe' is unknown.*again"),
        ({"refit_below": -1}, "refit_below: -1"),
        ({"refit_epochs": 0}, "refit_epochs: 0"),
        ({"refit_rate": 0.0}, "refit_rate: 0"),
        ({"gradient_clip": -1.0}, "gradient_clip"),
        ({"clip_by": "sum"}, "clip_by: 'sum' is unknown.*norm"),
        ({"limit_epochs": 0}, "limit_epochs"),
        ({"limit_batches": 0}, "limit_batches"),
        ({"processes": 3}, r"batch_size: 32 cannot be shared evenly by 3 .*multiple of 3"),
    ],
)
def test_bounds(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=message):
        settings(**changes)


def test_the_trainer_keeps_to_itself(tmp_path: Path) -> None:
    with quiet():
        trainer = lightning(settings(precision="bf16", accelerator="cpu"), 7, [], tmp_path)
    assert trainer.max_epochs == 7 and trainer.precision == "bf16-mixed"
    assert trainer.gradient_clip_val == 1.0
    assert not trainer.loggers and not trainer.checkpoint_callbacks
    assert torch.are_deterministic_algorithms_enabled()
    assert not list(tmp_path.iterdir())


def test_smoke_is_short(tmp_path: Path) -> None:
    with quiet():
        trainer = lightning(settings("smoke", accelerator="cpu"), 7, [], tmp_path)
    assert trainer.max_epochs == 1 and trainer.limit_train_batches == 2


def test_steps_end_a_training_before_its_epochs_do(tmp_path: Path) -> None:
    with quiet():
        short = lightning(settings(accelerator="cpu"), 7, [], tmp_path, steps=5)
        whole = lightning(settings(accelerator="cpu"), 7, [], tmp_path)
    assert (short.max_epochs, short.max_steps, whole.max_steps) == (7, 5, -1)


@pytest.mark.parametrize(
    ("refit", "pictures", "trainings", "expected"),
    [
        ("auto", 499, 1, "on"), ("auto", 500, 1, "never"), ("auto", 10**7, 3, "again"),
        ("again", 10**7, 1, "again"), ("on", 10**7, 1, "on"), ("never", 3, 1, "never"),
        ("on", 3, 2, "again"),  # of two networks none can be trained on
    ],
)  # fmt: skip
def test_what_a_refit_comes_to(refit: str, pictures: int, trainings: int, expected: str) -> None:
    assert settings(refit=refit, refit_below=500).refit_of(pictures, trainings) == expected


def gpus(count: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: count > 0)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: count)


@pytest.mark.parametrize(
    ("accelerator", "count", "expected"),
    [("auto", 0, False), ("auto", 2, True), ("gpu", 1, True), ("cpu", 2, False)],
)
def test_gpus_are_used_where_they_are(
    accelerator: str, count: int, expected: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    gpus(count, monkeypatch)
    assert settings(accelerator=accelerator).uses_gpu() is expected


def test_missing_gpus_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    gpus(0, monkeypatch)
    with pytest.raises(UserError, match="accelerator: gpu, but torch sees none"):
        settings(accelerator="gpu").uses_gpu()
    assert not settings("ddp").uses_gpu()
    gpus(1, monkeypatch)
    with pytest.raises(UserError, match="processes: 2, but there are 1 GPUs"):
        settings("ddp").uses_gpu()


def test_processes_share_the_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    given = []
    monkeypatch.setattr(torch, "set_num_threads", given.append)
    monkeypatch.setattr("os.sched_getaffinity", lambda _: set(range(6)), raising=False)
    share_cores(1)
    for processes in (2, 4, 12):
        share_cores(processes)
    assert given == [3, 1, 1]


def test_only_lightnings_advice_is_hushed() -> None:
    logger = logging.getLogger("pytorch_lightning")
    level = logger.level
    with quiet():
        warnings.warn("The 'train_dataloader' does not have many workers", stacklevel=1)
        assert not logger.isEnabledFor(logging.INFO)
        with pytest.raises(UserWarning, match="something else"):
            warnings.warn("something else", stacklevel=1)
    assert logger.level == level
