"""Whether model.json can be what `saving.save` wrote: types, and plain values.

A model folder may come from anybody. Its architecture goes through the machinery that reads
configurations, where `${...}` means a variable of the environment, among others; so text like that
is refused there. The rest is never resolved: a class may be called what it likes. Numbers become
how often something is done before the first layer stands: none is larger than any network's.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

LARGEST = 2**16  # of whole numbers that describe a network: layers, channels, classes, px

_TYPES: dict[str, tuple[type, ...]] = {
    "architecture": (dict,),
    "classes": (list,),
    "input_spec": (dict,),
    "preprocessing": (dict,),
    "training": (dict,),
    "pretrained": (dict, type(None)),
    "data_digest": (str,),
    "weights_sha256": (dict,),
}


def check_contract(values: Mapping[str, Any]) -> None:
    """Raises ValueError or KeyError for what no contract can say."""
    _check_plain(values["architecture"])
    for name, types in _TYPES.items():
        _check(isinstance(values[name], types), name, values[name])
    classes = values["classes"]
    _check(bool(classes) and all(isinstance(name, str) for name in classes), "classes", classes)
    for name, sha256 in values["weights_sha256"].items():
        _check(isinstance(sha256, str), f"weights_sha256.{name}", sha256)
    for name, value in values["preprocessing"].items():
        _check(_is_count(value), f"preprocessing.{name}", value)
    _check_input_spec(values["input_spec"])


def _check_plain(value: Any) -> None:
    if isinstance(value, int) and abs(value) > LARGEST:
        raise ValueError(f"{value}: larger than any number of an architecture ({LARGEST})")
    if isinstance(value, str) and "${" in value:
        raise ValueError(f"{value!r}: architectures hold plain values, no ${{...}}")
    if isinstance(value, Mapping):
        value = [*value.keys(), *value.values()]
    if isinstance(value, list):
        for item in value:
            _check_plain(item)


def _check_input_spec(spec: Mapping[str, Any]) -> None:
    _check(_is_count(spec["size"]), "input_spec.size", spec["size"])
    for name in ("mean", "std"):
        levels = spec[name]
        usable = isinstance(levels, list) and levels and all(map(_is_number, levels))
        _check(bool(usable), f"input_spec.{name}", levels)
    _check(len(spec["mean"]) == len(spec["std"]), "input_spec.std", spec["std"])
    _check(min(spec["std"]) > 0, "input_spec.std", spec["std"])
    known = isinstance(spec["interpolation"], str)
    _check(known, "input_spec.interpolation", spec["interpolation"])
    crop = spec["crop_pct"]
    _check(_is_number(crop) and crop > 0, "input_spec.crop_pct", crop)


def _is_count(value: Any) -> bool:
    return type(value) is int and value > 0  # True is an int too


def _is_number(value: Any) -> bool:
    return type(value) in (int, float) and math.isfinite(value)


def _check(right: bool, name: str, value: Any) -> None:
    if not right:
        raise ValueError(f"{name}: {value!r}")
