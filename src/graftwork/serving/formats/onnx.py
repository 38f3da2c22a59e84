"""ONNX, by torch's exporter of traces, which needs no package but onnx."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from graftwork.serving.exported_network import ExportedNetwork
from graftwork.serving.format import BYTES, EXACT, HALF, Format, Run, quantised

MODEL = "model.onnx"
OPSET = 20
AXES = {0: "pictures", 1: "height", 2: "width"}


class Onnx(Format):
    """`model.onnx`: `images` to `logits`."""

    files = (MODEL,)
    tolerances = {"fp32": EXACT, "fp16": HALF, "int8": BYTES}
    halved = frozenset({"fp16"})
    packages = ("onnx", "onnxruntime")
    runtimes = ("onnx", "onnxruntime", "torch")

    def write(
        self,
        network: ExportedNetwork,
        folder: Path,
        precision: str,
        calibration: Sequence[np.ndarray],
        about: Mapping[str, str],
    ) -> dict[str, str]:
        """See `Format`."""
        import onnx
        import torch

        place = str(folder / MODEL)
        with torch.no_grad(), warnings.catch_warnings():
            # torch's other exporter needs onnxscript; tracing warns of each shape that becomes a
            # constant, as it should here.
            warnings.simplefilter("ignore")
            torch.onnx.export(
                network,
                (network.example(),),
                place,
                dynamo=False,
                opset_version=OPSET,
                input_names=["images"],
                output_names=["logits"],
                dynamic_axes={
                    "images": {axis: AXES[axis] for axis in network.free},
                    "logits": {0: AXES[0]},
                },
            )
        model = onnx.load(place)
        if precision == "int8":
            model = quantised(model, [{"images": images} for images in calibration])
        onnx.helper.set_model_props(model, dict(about))
        onnx.checker.check_model(model, full_check=True)
        onnx.save(model, place)
        return {"opset": str(next(one.version for one in model.opset_import if not one.domain))}

    def load(self, folder: Path, precision: str) -> Run:
        """See `Format`."""
        import onnxruntime

        onnxruntime.set_default_logger_severity(3)  # errors
        session = onnxruntime.InferenceSession(folder / MODEL, providers=["CPUExecutionProvider"])

        def run(images: np.ndarray) -> np.ndarray:
            (logits,) = session.run(["logits"], {"images": images})
            return np.asarray(logits)

        return run
