"""TorchScript: what libtorch opens in C++ and on telephones."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from graftwork.serving.exported_network import ExportedNetwork
from graftwork.serving.format import BRAIN, EXACT, HALF, Format, Run
from graftwork.serving.torch_runs import run_by

MODEL = "model.pt"


class TorchScript(Format):
    """`model.pt`, a trace."""

    files = (MODEL,)
    tolerances = {"fp32": EXACT, "fp16": HALF, "bf16": BRAIN}
    halved = frozenset({"fp16", "bf16"})
    runtimes = ("torch",)

    def write(
        self,
        network: ExportedNetwork,
        folder: Path,
        precision: str,
        calibration: Sequence[np.ndarray],
        about: Mapping[str, str],
    ) -> dict[str, str]:
        """See `Format`."""
        import torch

        with torch.no_grad(), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # torch deprecates it; tracing warns of constants
            traced = torch.jit.trace(network, (network.example(),), check_trace=False)
            torch.jit.save(traced, folder / MODEL, _extra_files=dict(about))
        return {}

    def load(self, folder: Path, precision: str) -> Run:
        """See `Format`."""
        import torch

        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return run_by(torch.jit.load(folder / MODEL))
