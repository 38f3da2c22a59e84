"""A module of torch as what every runtime is here: arrays in, arrays out."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch

from graftwork.serving.format import Run


def run_by(module: Callable[[torch.Tensor], torch.Tensor]) -> Run:
    """See `graftwork.serving.format.Format.load`."""

    def run(images: np.ndarray) -> np.ndarray:
        with torch.inference_mode():
            logits: np.ndarray = module(torch.from_numpy(images)).numpy()
        return logits

    return run
