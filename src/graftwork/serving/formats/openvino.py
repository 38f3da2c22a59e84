"""OpenVINO's own form: a graph in XML and its weights."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from graftwork.features.engines.openvino_engine import HINTS, openvino
from graftwork.serving.exported_network import ExportedNetwork
from graftwork.serving.format import BRAIN, BYTES, EXACT, HALF, Format, Run, quantised

MODEL = "model.xml"


class OpenVino(Format):
    """`model.xml` and `model.bin`. fp16 is how weights are stored, bf16 how they are computed with:
    this is asked for when the model is compiled, and so is float32 of the others, as newer CPUs
    would else compute in bf16."""

    files = (MODEL, "model.bin")
    tolerances = {"fp32": EXACT, "fp16": HALF, "bf16": BRAIN, "int8": BYTES}
    of_views = frozenset({"bf16"})
    packages = ("openvino",)
    runtimes = ("openvino", "torch")

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

        example = network.example()
        shape = [-1 if axis in network.free else side for axis, side in enumerate(example.shape)]
        with torch.no_grad(), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of tracing: as in features/engines
            model = openvino().convert_model(
                network, example_input=example, input=[openvino().PartialShape(shape)]
            )
        model.inputs[0].get_tensor().set_names({"images"})
        model.outputs[0].get_tensor().set_names({"logits"})
        if precision == "int8":
            model = quantised(model, calibration)
        hint = _hint(precision)
        for key, value in {**about, "INFERENCE_PRECISION_HINT": hint}.items():
            model.set_rt_info(value, ["graftwork", key])
        openvino().save_model(model, folder / MODEL, compress_to_fp16=precision == "fp16")
        return {"INFERENCE_PRECISION_HINT": hint}

    def load(self, folder: Path, precision: str) -> Run:
        """See `Format`."""
        options = {"INFERENCE_PRECISION_HINT": _hint(precision), "PERFORMANCE_HINT": "LATENCY"}
        compiled = openvino().Core().compile_model(folder / MODEL, "CPU", options)
        request = compiled.create_infer_request()

        def run(images: np.ndarray) -> np.ndarray:
            request.infer({"images": images})
            return np.array(request.get_output_tensor().data, np.float32)

        return run


def _hint(precision: str) -> str:
    return HINTS["bf16" if precision == "bf16" else "fp32"]
