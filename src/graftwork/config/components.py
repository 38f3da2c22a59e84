"""Components: frozen dataclasses that hold schema and behaviour together, built from YAML.

This is the only place where a name in a configuration becomes a class. A `_target_` resolves to a
component class of graftwork, or of a package that declares the entry point
`graftwork.components`; anything else is refused by looking at the object, not at its spelling.
"""

from __future__ import annotations

import dataclasses
import importlib
import inspect
import pkgutil
import sys
import types
import typing
from abc import ABC
from collections.abc import Mapping
from copy import copy
from functools import cache
from importlib.metadata import entry_points
from typing import Any, TypeVar

from omegaconf import OmegaConf
from omegaconf.errors import ConfigTypeError, OmegaConfBaseException

from graftwork.config.errors import UserError, unknown

TARGET = "_target_"


@dataclasses.dataclass(frozen=True)
class Component(ABC):  # noqa: B024  (abstract where a kind says so)
    """Base of everything that a configuration can name. Fields carry types, never defaults."""


C = TypeVar("C", bound=Component)


def build(values: Any, kind: type[C], where: str) -> C:
    """Builds and checks one component.

    Args:
        values: a mapping of its fields; `_target_` names the class where `kind` has several.
        kind: the class it must be an instance of.
        where: its place in the configuration, for messages (`dataset`, `model.head`).

    Raises:
        UserError: for an unknown, missing or mistyped key, a value out of bounds, or a `_target_`
            that is not a component of this kind.
    """
    if isinstance(values, kind):
        return values
    if not isinstance(values, Mapping):
        raise UserError(f"{where or 'params.yaml'}: expected a group of keys, got {values!r}.")
    values = {str(key): value for key, value in values.items()}
    cls = _resolve(values.pop(TARGET, None), kind, where)
    hints = _hints(cls)
    _check_keys(values, hints, where)
    nested = {name: _component_kind(hint) for name, hint in hints.items()}
    plain = {name: values[name] for name in hints if not nested[name]}
    fields = _convert(cls, plain, {name: hints[name] for name in plain}, where)
    for name, child in nested.items():
        if child:
            fields[name] = _build_nested(values[name], hints[name], child, _join(where, name))
    try:
        return cls(**fields)
    except UserError as error:
        raise UserError(placed(str(error), where)) from error


def placed(message: str, where: str) -> str:
    """Bounds are checked by field name; the message names the full path."""
    there = not where or message.startswith((f"{where}.", f"{where}:"))
    return message if there else f"{where}.{message}"


def _join(where: str, key: str) -> str:
    return f"{where}.{key}" if where else key


def _build_nested(value: Any, hint: Any, child: type[Component], where: str) -> Any:
    if value is None and type(None) in typing.get_args(hint):
        return None
    origin = next((o for o in _origins(hint) if o in (list, dict)), None)
    if origin is list:
        if not isinstance(value, list | tuple):
            raise UserError(f"{where}: expected a list, got {value!r}.")
        return [build(item, child, f"{where}[{index}]") for index, item in enumerate(value)]
    if origin is dict:
        if not isinstance(value, Mapping):
            raise UserError(f"{where}: expected named components, got {value!r}.")
        items = ((str(key), item) for key, item in value.items())
        # A null entry takes an inherited one away: `evaluation.metrics.ece=null`.
        return {k: build(item, child, f"{where}.{k}") for k, item in items if item is not None}
    return build(value, child, where)


def _check_keys(values: Mapping[str, Any], hints: Mapping[str, Any], where: str) -> None:
    for key in values:
        if key not in hints:
            raise unknown(_join(where, key), key, hints)
    missing = [key for key in hints if key not in values or values[key] == "???"]
    if missing:
        key = _join(where, missing[0])
        raise UserError(
            f"{key}: no value. Set it: {key}=... on the command line, or in the YAML file."
        )


def _convert(
    cls: type, values: Mapping[str, Any], hints: Mapping[str, Any], where: str
) -> dict[str, Any]:
    """Types of the plain fields, checked and converted by OmegaConf's structured configs."""
    converted = {}
    for name, value in values.items():
        if _is_right(value, hints[name]):
            converted[name] = copy(value)
            continue
        schema = dataclasses.make_dataclass(cls.__name__, [(name, hints[name])])
        try:
            if isinstance(value, bool) and bool not in _leaves(hints[name]):
                raise ConfigTypeError("a truth value is not a number")
            if _is_deeper(value, hints[name]):
                raise ConfigTypeError("a list in a list is no number")
            node = OmegaConf.merge(OmegaConf.structured(schema), {name: value})
            converted[name] = typing.cast(dict, OmegaConf.to_container(node, resolve=True))[name]
        except OmegaConfBaseException as error:
            legal = _type_name(hints[name])
            raise UserError(
                f"{_join(where, name)}: {value!r} has the wrong type. Legal: {legal}."
            ) from error
    return converted


def _is_right(value: Any, hint: Any) -> bool:
    """Whether the value has the wanted type already: most have, and OmegaConf is slow to say so."""
    if type(value) not in (list, dict):
        return _is_plain(value, _leaves(hint))
    if typing.get_origin(hint) is not type(value):
        return False
    *key, item = map(_leaves, typing.get_args(hint))
    values = value.values() if key else value
    return all(_is_plain(each, item) for each in values) and all(
        _is_plain(each, *key) for each in (value if key else ())
    )


def _is_plain(value: Any, leaves: list[Any]) -> bool:
    if isinstance(value, str) and ("${" in value or "\\" in value):
        return False  # an interpolation, or an escaped one
    return type(value) in (bool, int, float, str, types.NoneType) and type(value) in leaves


def _is_deeper(value: Any, hint: Any) -> bool:
    """Whether a list of plain values holds lists or dictionaries, which OmegaConf lets pass."""
    lists = [each for each in (hint, *typing.get_args(hint)) if typing.get_origin(each) is list]
    items = [leaf for each in lists for arg in typing.get_args(each) for leaf in _leaves(arg)]
    if not lists or not isinstance(value, list) or {list, tuple, dict, Any} & {*items}:
        return False
    return any(isinstance(item, list | dict) for item in value)


_NAMES = {
    int: "a whole number",
    float: "a number",
    bool: "true or false",
    str: "text",
    types.NoneType: "null",
    list: "a list",
    dict: "named values",
}


def _type_name(hint: Any) -> str:
    return " or ".join(_NAMES.get(leaf, str(leaf)) for leaf in _leaves(hint))


def _leaves(hint: Any) -> list[Any]:
    """The alternatives of a union; `list[int]` counts as `list`."""
    if typing.get_origin(hint) in (typing.Union, types.UnionType):
        return [typing.get_origin(arg) or arg for arg in typing.get_args(hint)]
    return [typing.get_origin(hint) or hint]


def _origins(hint: Any) -> list[Any]:
    return [typing.get_origin(hint), *(typing.get_origin(arg) for arg in typing.get_args(hint))]


def _component_kind(hint: Any) -> type[Component] | None:
    """The component class inside a field's annotation (`X`, `X | None`, `list[X]`, ...)."""
    if inspect.isclass(hint) and issubclass(hint, Component):
        return hint
    return next(filter(None, map(_component_kind, typing.get_args(hint))), None)


@cache
def _hints(cls: type) -> dict[str, Any]:
    hints = typing.get_type_hints(cls)
    return {field.name: hints[field.name] for field in dataclasses.fields(cls) if field.init}


def _resolve(target: Any, kind: type[C], where: str) -> type[C]:
    if target is None:
        if inspect.isabstract(kind):
            raise UserError(f"{where}.{TARGET}: no value. Legal: {', '.join(targets(kind))}.")
        return kind
    module, _, name = str(target).rpartition(".")
    found = None
    if module.split(".")[0] in _packages():
        try:
            found = getattr(importlib.import_module(module), name, None)
        except ImportError:
            found = None
    if not (inspect.isclass(found) and issubclass(found, kind) and not inspect.isabstract(found)):
        raise unknown(f"{where}.{TARGET}", target, targets(kind))
    return found


@cache  # reading every installed distribution takes longer than building an experiment
def _packages() -> set[str]:
    declared = entry_points(group="graftwork.components")
    return {"graftwork"} | {point.value.split(".")[0] for point in declared}


def targets(kind: type[Component]) -> list[str]:
    """Every `_target_` of this kind that lives beside it: for messages and `graftwork models`."""
    package = kind.__module__.rpartition(".")[0]
    if package != "graftwork":
        for module in pkgutil.iter_modules(sys.modules[package].__path__):
            importlib.import_module(f"{package}.{module.name}")
    return sorted(
        f"{cls.__module__}.{cls.__qualname__}"
        for cls in {kind, *_subclasses(kind)}
        if not inspect.isabstract(cls) and cls.__module__.split(".")[0] in _packages()
    )


def _subclasses(kind: type) -> set[type]:
    found: set[type] = set()
    direct: type
    for direct in kind.__subclasses__():
        found |= {direct, *_subclasses(direct)}
    return found
