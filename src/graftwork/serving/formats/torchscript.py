"""TorchScript: what libtorch opens in C++ and on telephones."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from graftwork.serving import torch_runs
from graftwork.serving.exported_network import ExportedNetwork
from graftwork.serving.format import Run

MODEL = "model.pt"


class TorchScript(torch_runs.TorchFormat):
    """`model.pt`, a trace."""

    files = (MODEL,)

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
            return torch_runs.run_by(torch.jit.load(folder / MODEL))
