"""torch's own graph without Python code: `torch.export`, opened by torch alone."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from graftwork.serving import torch_runs
from graftwork.serving.exported_network import ExportedNetwork
from graftwork.serving.format import Run

MODEL = "model.pt2"


class TorchExport(torch_runs.TorchFormat):
    """`model.pt2`."""

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
        from torch.export import Dim, export, save

        free = {axis: Dim.DYNAMIC for axis in network.free}
        with torch.no_grad(), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # torch's own, about itself
            program = export(network, (network.example(),), dynamic_shapes={"images": free})
            save(program, folder / MODEL, extra_files=dict(about))
        return {}

    def load(self, folder: Path, precision: str) -> Run:
        """See `Format`."""
        from torch.export import load

        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return torch_runs.run_by(load(folder / MODEL).module())
