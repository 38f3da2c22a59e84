"""Backbones of this project's own, registered with timm.

To add one: a module in this folder whose constructor is decorated with
`timm.models.register_model`, and a conf/model/<name>.yaml that names it as `architecture`.
What is stored of a network counts by the code of its module, or, once that is settled and says
`VERSION = 1`, by this number: see graftwork.models.versions.
timm's `create_model`, feature extraction and layer grouping then work on it as on its own.
"""

from __future__ import annotations

import importlib
import pkgutil


def register() -> None:
    """Imports every module of this folder, and with it torch and timm."""
    importlib.import_module("graftwork.process.vision")
    for module in pkgutil.iter_modules(__path__):
        importlib.import_module(f"{__name__}.{module.name}")
