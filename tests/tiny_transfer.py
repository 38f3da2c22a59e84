"""A small transfer: photos that are hard to tell apart, and weights to begin from."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from conftest import COLOURS, composed, draw_photo
from tiny_experiment import local_weights

PHOTOS = {"train": 8, "val": 5, "test": 6}  # a class


def draw_photos(root: Path, counts: Mapping[str, int] = PHOTOS, spread: float = 50.0) -> Path:
    """Three classes by colour, each photo's own so far from its class's that they overlap."""
    random, seed = np.random.default_rng(0), 0
    for split, count in counts.items():
        for name, colour in COLOURS.items():
            for number in range(count):
                red, green, blue = np.clip(random.normal(colour, spread), 0, 255)
                path = root / split / name / f"{number}.jpg"
                draw_photo(path, (int(red), int(green), int(blue)), seed)
                seed += 1
    return root


def save_weights(path: Path, seed: int = 0) -> None:
    """Weights of tiny_cnn that stand for pretrained ones: random, and the same every time."""
    from graftwork.models.backbones import register
    from graftwork.process.vision import timm

    register()
    torch.manual_seed(seed)
    torch.save(timm.create_model("tiny_cnn").state_dict(), path)


def transfer_params(photos: Path, weights: Path, *overrides: str) -> dict[str, Any]:
    """Parameters of tiny_cnn with those weights on those photos; lp_ft unless told otherwise."""
    values = composed(
        "dataset=folder",
        f"dataset.path={photos}",
        "model=tiny_cnn",
        "transfer=lp_ft",
        "transfer.least_steps=0",
        "augmentation=none",
        "trainer.batch_size=8",
        "extraction.engine=torch",
        "extraction.precision=fp32",
        "evaluation.bootstrap_samples=100",
        "tracking.log_model=false",
        *overrides,
    )
    values["model"]["weights"] = local_weights(weights)
    return values
