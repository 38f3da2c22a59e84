"""Small real things that many tests share: a folder of photos, a composed configuration."""

from __future__ import annotations

import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf
from PIL import Image

# A shell that starts tests in the background has them ignore Ctrl-C, and all that they start too.
signal.signal(signal.SIGINT, signal.default_int_handler)

CONF = Path(__file__).parents[1] / "conf"
COLOURS = {"blue": (40, 60, 200), "green": (50, 180, 60), "red": (200, 40, 50)}


def composed(*overrides: str) -> dict[str, Any]:
    """The parameters that these overrides make of conf/, as DVC composes them."""
    with initialize_config_dir(str(CONF), version_base=None):
        config = compose("config", overrides=list(overrides))
        return OmegaConf.to_container(config, resolve=True)  # type: ignore[return-value]


def draw_photo(path: Path, colour: tuple[int, int, int], seed: int, side: int = 40) -> None:
    """A noisy patch of one colour: learnable in one epoch, different for every seed."""
    path.parent.mkdir(parents=True, exist_ok=True)
    noise = np.random.default_rng(seed).normal(0, 25, (side, side + seed % 7, 3))
    Image.fromarray(np.clip(noise + colour, 0, 255).astype(np.uint8)).save(path, quality=92)


@pytest.fixture
def quiet_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    """As if nothing else ran: what is measured is kept, whatever runs beside the tests."""
    from graftwork.profiling import timing

    monkeypatch.setattr(timing.Times, "machine", timing.UNDISTURBED)


@pytest.fixture
def tiny_folder(tmp_path: Path) -> Path:
    """Three classes by colour; train 8, val 3, test 5 JPEGs a class (15 test photos: odd)."""
    root = tmp_path / "photos"
    seed = 0
    for split, count in (("train", 8), ("val", 3), ("test", 5)):
        for name, colour in COLOURS.items():
            for index in range(count):
                draw_photo(root / split / name / f"{index}.jpg", colour, seed)
                seed += 1
    return root


@pytest.fixture
def tiny_params(tiny_folder: Path) -> Callable[..., dict[str, Any]]:
    """`tiny_params(*overrides)`: tiny_cnn from scratch on the tiny folder, in seconds."""

    def params(*overrides: str) -> dict[str, Any]:
        return composed(
            "dataset=folder",
            f"dataset.path={tiny_folder}",
            "model=tiny_cnn",
            "transfer=from_scratch",
            "trainer=smoke",
            "evaluation.bootstrap_samples=100",
            *overrides,
        )

    return params
