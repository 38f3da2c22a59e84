"""timm and torchvision, importable: `from graftwork.process.vision import timm`.

torchvision from PyPI beside a CPU build of torch cannot load its compiled operators (they want
CUDA), and then fails to import with `operator torchvision::nms does not exist`, and timm with it.
No network here needs those operators; their schemas are all that the import asks for.
"""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

import torch
from torch.library import Library

SCHEMAS = (
    "nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
    "qnms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
)


def compiled_operators_load(folder: Path) -> bool:
    """Whether torchvision's operators, in its package folder, can be loaded beside this torch."""
    for pattern in ("_C*.so", "_C*.pyd", "_C*.dylib"):
        for library in folder.glob(pattern):
            try:
                torch.ops.load_library(str(library))
            except OSError:
                continue
            return True
    return False


def cure(folder: Path) -> Library | None:
    """Declares the missing schemas, and only where the compiled operators are really absent.

    The schemas live as long as the returned library is referenced.
    """
    if hasattr(torch.ops.torchvision, "nms") or compiled_operators_load(folder):
        return None
    library = Library("torchvision", "DEF")
    for schema in SCHEMAS:
        library.define(schema)
    return library


def _torchvision() -> Path:
    spec = find_spec("torchvision")
    assert spec is not None and spec.origin, "torchvision is a dependency of this package"
    return Path(spec.origin).parent


_LIBRARY = cure(_torchvision())

import timm  # noqa: E402
import torchvision  # noqa: E402

__all__ = ["timm", "torchvision"]
