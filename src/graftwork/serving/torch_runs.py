"""A module of torch as what every runtime is here: arrays in, arrays out."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch

from graftwork.serving.format import BRAIN, EXACT, HALF, Format, Run


class TorchFormat(Format):
    """What the formats that torch itself opens have in common."""

    tolerances = {"fp32": EXACT, "fp16": HALF, "bf16": BRAIN}
    halved = frozenset({"fp16", "bf16"})
    runtimes = ("torch",)


def run_by(module: Callable[[torch.Tensor], torch.Tensor]) -> Run:
    """See `graftwork.serving.format.Format.load`."""

    def run(images: np.ndarray) -> np.ndarray:
        with torch.inference_mode():
            logits: np.ndarray = module(torch.from_numpy(images)).numpy()
        return logits

    return run
