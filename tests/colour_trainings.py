"""Trainings of a few steps through the one Trainer, on pictures of three colours."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from conftest import composed

from graftwork.config.components import build
from graftwork.models.base import Model
from graftwork.models.network.classifier import Classifier
from graftwork.settings.trainer import Trainer
from graftwork.training.callbacks import Curves
from graftwork.training.datamodule import PictureData
from graftwork.training.graft_module import GraftModule
from graftwork.training.guard import Guard
from graftwork.training.history import History
from graftwork.training.lightning_trainer import lightning, quiet
from graftwork.transfer.samplers import Shuffled
from graftwork.transfer.strategy import Transfer


class Colours:
    """Pictures whose class is their brightest channel."""

    def get(self, sha256: str, path: str) -> np.ndarray:
        number = int(sha256)
        image = np.random.default_rng(number).integers(0, 120, (32, 32, 3))
        image[..., number % 3] += 100
        return image.astype(np.uint8)


def pictures(
    count: int = 24,
    val: int = 13,
    batch_size: int = 8,
    test: int = 0,
    passes: int = 1,
    workers: int = 0,
    timeout: float = 0,
) -> PictureData:
    numbers = np.arange(count)
    frame = pd.DataFrame({"sha256": numbers.astype(str), "path": "", "label": numbers % 3})
    return PictureData(
        frame,
        {"val": frame[:val], "test": frame[count - test :]},
        Colours(),
        lambda image, epoch, index: image,
        np.copy,
        batch_size=batch_size,
        passes=passes,
        workers=workers,
        timeout=timeout,
        seed=0,
        sampler=Shuffled(),
    )


def strategy(*overrides: str, **changes: Any) -> Transfer:
    found = build(
        composed("transfer=from_scratch", "transfer.batch_norm=frozen", *overrides)["transfer"],
        Transfer,
        "transfer",
    )
    return dataclasses.replace(found, **changes)


def classifier(num_classes: int = 3) -> Classifier:
    torch.manual_seed(0)
    return build(composed("model=tiny_cnn")["model"], Model, "model").build(num_classes, None)


def fitted(
    network: Classifier,
    transfer: Transfer,
    tmp_path: Path,
    *callbacks: Any,
    data: PictureData | None = None,
    num_classes: int = 3,
    known: Sequence[float] | None = None,
    **changes: Any,
) -> tuple[GraftModule, list[dict[str, float]]]:
    settings = build(composed("trainer.precision=fp32")["trainer"], Trainer, "trainer")
    settings = dataclasses.replace(settings, accelerator="cpu", **changes)
    history = History.unheard()
    data = data or pictures()
    shares = data.order().shares
    module = GraftModule(
        network, transfer, num_classes, watched=data.watched, known=known, shares=shares
    )
    watchers = [Curves(history), *callbacks]
    with quiet():
        trainer = lightning(settings, transfer.epochs, watchers, tmp_path, passes=len(shares))
        trainer.fit(module, datamodule=data)
    assert not list(tmp_path.iterdir()), "Lightning must leave no folders behind"
    return module, history.rows


def guard(data: PictureData, *, skips: bool = False, spike: float | None = None) -> Guard:
    """Of the first attempt of several."""
    return Guard(data.train_dataloader, skips=skips, spike=spike, last=False)


def state(network: Classifier) -> dict[str, torch.Tensor]:
    return {name: tensor.clone() for name, tensor in network.state_dict().items()}


def changed(before: dict[str, torch.Tensor], network: Classifier) -> set[str]:
    after = network.state_dict()
    return {name for name, tensor in before.items() if not torch.equal(tensor, after[name])}


def names_of(network: Classifier, *groups: str) -> set[str]:
    return {n for g in network.layer_groups() if g.name in groups for n in g.parameters}
