"""Formats of exported models: a file each, whose one `Format` is found by the file's name."""

from __future__ import annotations

import importlib
import inspect
import pkgutil

from graftwork.config.errors import check_choice
from graftwork.serving.format import Format

FORMATS = tuple(sorted(module.name for module in pkgutil.iter_modules(__path__)))


def named(name: str) -> Format:
    """Raises UserError for a name that is none of `FORMATS`."""
    check_choice("--format", name, FORMATS)
    module = importlib.import_module(f"{__name__}.{name}")
    (kind,) = (
        found
        for found in vars(module).values()
        if inspect.isclass(found) and issubclass(found, Format) and found is not Format
    )
    made: Format = kind()
    return made
