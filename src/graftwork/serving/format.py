"""The kind of an export: a file that a runtime opens without graftwork, and how true it must be."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from graftwork.config.errors import UserError, check_choice
from graftwork.features.engines.openvino_engine import openvino

if TYPE_CHECKING:
    from graftwork.serving.exported_network import ExportedNetwork

PRECISIONS = ("fp32", "fp16", "bf16", "int8")
TAKES = ("photos", "views")
Run = Callable[[np.ndarray], np.ndarray]  # uint8 RGB [B, H, W, 3] to float32 logits [B, classes]


@dataclass(frozen=True)
class Tolerance:
    """How far an export's probabilities may be from the model's own, of the same pixels."""

    largest: float  # of any class of any photo
    mean: float  # over photos, of each one's largest


EXACT = Tolerance(1e-4, 1e-4)
HALF = Tolerance(0.05, 0.005)  # 11 bits of each number
BRAIN = Tolerance(0.3, 0.03)  # 8 bits
BYTES = Tolerance(1.0, 0.05)  # single photos between two classes may get another answer


class Format(ABC):
    """A format: one class a file in graftwork.serving.formats, found there by the file's name.

    Attributes:
        files: that it writes, the one to open first.
        tolerances: of each precision that it has.
        halved: those precisions of them in which the network itself is converted before.
        of_views: those in which it cannot resize a photo well enough.
        packages: that it needs and the plain installation lacks.
        runtimes: whose releases the certificate and the file name.
    """

    files: ClassVar[tuple[str, ...]]
    tolerances: ClassVar[Mapping[str, Tolerance]]
    halved: ClassVar[frozenset[str]] = frozenset()
    of_views: ClassVar[frozenset[str]] = frozenset()
    packages: ClassVar[tuple[str, ...]] = ()
    runtimes: ClassVar[tuple[str, ...]]

    @abstractmethod
    def write(
        self,
        network: ExportedNetwork,
        folder: Path,
        precision: str,
        calibration: Sequence[np.ndarray],
        about: Mapping[str, str],
    ) -> dict[str, str]:
        """Writes `files` into the folder, and what `about` says into the file.

        Args:
            calibration: for int8: inputs of one picture each, `[1, H, W, 3]`.

        Returns:
            What else there is to know of the file, such as its opset.

        Raises:
            Exception: whatever an exporter raises for what it cannot express.
        """

    @abstractmethod
    def load(self, folder: Path, precision: str) -> Run:
        """Opens what `write` wrote by its runtime alone, after the runtime's own check."""

    def check(self, name: str, precision: str, takes: str) -> None:
        """Raises UserError where the precision or a package is missing."""
        legal = ", ".join(self.tolerances)
        if precision in PRECISIONS and precision not in self.tolerances:
            raise UserError(
                f"--precision: {name} has no {precision}. Legal: {legal}; another --format may "
                "have it (openvino has all)."
            )
        check_choice("--precision", precision, self.tolerances)
        if takes == "photos" and precision in self.of_views:
            raise UserError(
                f"--precision: {name} would compute pixels in {precision}, too, and lose some of "
                "their levels. Say --takes views, or choose another precision."
            )
        needed = (*self.packages, *(("nncf",) if precision == "int8" else ()))
        if missing := [package for package in needed if find_spec(package) is None]:
            raise UserError(
                f"--format: {name} needs {', '.join(missing)}, which are not installed here. "
                "pip install 'graftwork[export]'."
            )


def quantised(model: Any, inputs: Sequence[Any]) -> Any:
    """The model of ONNX or OpenVINO in int8, what makes the view of a photo left as it is.

    Args:
        inputs: what it is run on to see how large its numbers become.
    """
    import logging
    import warnings

    openvino()  # and with it no telemetry, of which NNCF has some, too
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # its own, about libraries that it imports
        import nncf

        nncf.set_log_level(logging.ERROR)
        left = nncf.IgnoredScope(patterns=[".*photo_view.*"], validate=False)
        data = nncf.Dataset(list(inputs))
        return nncf.quantize(model, data, ignored_scope=left, subset_size=len(inputs))
