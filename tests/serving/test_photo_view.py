"""What a network makes of a photo inside is what evaluation makes of it, to a level of 255."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from graftwork.data.images import eval_view, fit_side
from graftwork.model_folder.contents import Contract, Preprocessing
from graftwork.models.base import InputSpec
from graftwork.serving.photo_view import PhotoView


def contract(size: int, crop_pct: float, interpolation: str, side: int) -> Contract:
    spec = InputSpec(size, (0.5,) * 3, (0.5,) * 3, interpolation, crop_pct)
    seen = Preprocessing(side, 10**6)
    return Contract(3, {}, ["a", "b"], spec, seen, {}, None, "", {})


def photo(height: int, width: int) -> np.ndarray:
    """Waves of every length, and noise."""
    rows, columns = np.mgrid[:height, :width].astype(np.float64)
    waves = [np.sin(rows / 7 + k) + np.cos(columns * (k + 1) / 9) for k in range(3)]
    noise = np.random.default_rng(0).normal(0, 0.2, (height, width, 3))
    return np.clip(128 + 50 * (np.stack(waves, -1) + noise), 0, 255).astype(np.uint8)


@pytest.mark.parametrize(
    ("size", "crop_pct", "interpolation", "side"),
    [
        (32, 0.875, "bicubic", 40),  # fitted, then cropped to a width that is not the network's
        (28, 0.875, "bicubic", 32),  # cropped to what is wanted
        (48, 1.0, "bicubic", 32),  # enlarged after it was fitted
        (24, 0.95, "bilinear", 64),
        (40, 1.0, "nearest", 64),
    ],
)
@pytest.mark.parametrize(
    ("height", "width"), [(30, 45), (41, 40), (97, 64), (200, 131), (19, 300), (9, 9), (32, 32)]
)
def test_it_is_what_evaluation_sees(
    size: int, crop_pct: float, interpolation: str, side: int, height: int, width: int
) -> None:
    made = contract(size, crop_pct, interpolation, side)
    pixels = photo(height, width)
    expected = eval_view(fit_side(pixels, side), made.input_spec).astype(np.float64)
    seen = PhotoView(made)(torch.from_numpy(pixels)[None])
    assert seen.shape == (1, 3, size, size) and seen.dtype == torch.float32
    apart = np.abs(seen[0].permute(1, 2, 0).numpy() - expected)
    assert apart.max() <= 2 and apart.mean() <= 0.5


def test_photos_of_one_size_are_seen_together() -> None:
    view = PhotoView(contract(24, 0.9, "bicubic", 32))
    photos = torch.from_numpy(np.stack([photo(50, 70), photo(50, 70)[:, ::-1]]))
    alone = torch.cat([view(photos[:1]), view(photos[1:])])
    assert torch.equal(view(photos), alone) and not torch.equal(alone[0], alone[1])
