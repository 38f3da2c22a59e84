"""The OpenVINO engine: a converted network that needs neither torch nor timm to run."""

from __future__ import annotations

import sys
import tempfile
import warnings
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from graftwork.features.engines import kept_files
from graftwork.storage.files import warn_damaged

if TYPE_CHECKING:
    from torch import nn

    from graftwork.models.network.classifier import Classifier

NETWORK = "network.xml"
FILES = ("network.bin", NETWORK)
NOTED = "network.json"  # what they were when they were written
COMPILED, NOTED_COMPILED = "compiled", "compiled.json"
FEW = 2  # pictures that a network is traced on: of one alone, shapes could say less
HINTS = {"bf16": "bf16", "fp32": "f32"}


def available() -> bool:
    """Whether OpenVINO is installed; nothing is imported."""
    return find_spec("openvino") is not None


def openvino() -> Any:
    """The module, without its telemetry.

    OpenVINO reports each conversion over the network and keeps an identifier in the user's home
    folder, unless the package that does so cannot be imported: then it brings a silent stub.
    """
    sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]
    import openvino

    return openvino


@cache
def _core() -> Any:
    return openvino().Core()


def hardware_precision() -> str:
    """`bf16` where this CPU multiplies it in hardware, else `fp32`."""
    return "bf16" if "BF16" in _core().get_property("CPU", "OPTIMIZATION_CAPABILITIES") else "fp32"


def convert(
    classifier: Classifier, batch_size: int, folder: Path, part: nn.Module | None = None
) -> None:
    """Writes a frozen network with its normalisation as an OpenVINO network.

    It takes uint8 `[batch_size, S, S, 3]`, so that Python touches no pixel. Weights are kept in
    float32: precision is chosen when the network is compiled.

    Args:
        part: as of graftwork.features.engines.torch_engine.FromPixels.
    """
    from graftwork.features.engines.torch_engine import FromPixels

    side = classifier.input_spec.size
    shape = [batch_size, side, side, 3]
    was_training = classifier.training
    network = _traced(FromPixels(classifier, part).eval(), shape)
    classifier.train(was_training)
    with tempfile.TemporaryDirectory(dir=folder) as partial:
        openvino().save_model(network, Path(partial) / NETWORK, compress_to_fp16=False)
        for name in FILES:
            (Path(partial) / name).replace(folder / name)
    # Whole or absent: what is noted counts as converted, so that comes last.
    kept_files.note(folder / NOTED, [folder / name for name in FILES])


def is_converted(folder: Path) -> bool:
    """Whether a whole converted network lies there; of a damaged one a warning tells."""
    files = [folder / name for name in FILES]
    wrong = kept_files.not_as_noted(folder / NOTED, files)
    if wrong and (folder / NOTED).is_file():
        warn_damaged(wrong[0], "it is not what was converted")
    return not wrong


def _traced(module: nn.Module, shape: list[int]) -> Any:
    """The network for inputs of this shape, traced on as few pictures as will do.

    Tracing runs the network several times. What a network's code makes of the number of pictures
    may become a constant; then as many are traced as are run.
    """
    few = [min(FEW, shape[0]), *shape[1:]]
    try:
        network = _converted(module, few)
        network.reshape(shape)
        if network.output(0).get_partial_shape()[0] == shape[0]:
            return network
    except RuntimeError:  # reshaping contradicts a constant
        if few == shape:
            raise
    network = _converted(module, shape)
    network.reshape(shape)
    return network


def _converted(module: nn.Module, shape: list[int]) -> Any:
    import torch

    example = torch.zeros(shape, dtype=torch.uint8)
    with torch.no_grad(), warnings.catch_warnings():
        # OpenVINO traces by torch.jit, which torch deprecates, and tracing warns of each shape
        # that becomes a constant, as it should here. The outputs are checked afterwards.
        warnings.simplefilter("ignore")
        return openvino().convert_model(module, example_input=example)


class OpenVinoEngine:
    """A converted network, compiled for this CPU; the compiled form is kept beside it."""

    def __init__(self, folder: Path, precision: str) -> None:
        options = {
            "INFERENCE_PRECISION_HINT": HINTS[precision],
            # One batch at a time on all cores: on two cores 10 % faster than several streams, and
            # batches come back in order.
            "PERFORMANCE_HINT": "LATENCY",
            "CACHE_DIR": str(folder / COMPILED),
        }
        _remove_damaged(folder)
        self._request = (
            _core().compile_model(folder / NETWORK, "CPU", options).create_infer_request()
        )
        _note_compiled(folder)

    def __call__(self, images: np.ndarray) -> np.ndarray:
        """See graftwork.features.engines.base.Engine."""
        self._request.set_input_tensor(openvino().Tensor(images, shared_memory=True))
        self._request.infer()
        features: np.ndarray = self._request.get_output_tensor().data.copy()
        return features


def _compiled(folder: Path) -> list[Path]:
    return sorted(path for path in (folder / COMPILED).glob("*") if path.is_file())


def _remove_damaged(folder: Path) -> None:
    """What was compiled and is no longer what it was, or was cut short, is compiled again.

    OpenVINO itself compares nothing: it would run whatever lies there.
    """
    noted = (folder / NOTED_COMPILED).is_file()
    for path in kept_files.not_as_noted(folder / NOTED_COMPILED, _compiled(folder)):
        if noted:
            warn_damaged(path, "it is not what was compiled")
        path.unlink(missing_ok=True)


def _note_compiled(folder: Path) -> None:
    files = _compiled(folder)
    if kept_files.not_as_noted(folder / NOTED_COMPILED, files):
        kept_files.note(folder / NOTED_COMPILED, files)
