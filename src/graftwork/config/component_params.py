"""The way back: from a component to the parameters that build it."""

from __future__ import annotations

import dataclasses
from typing import Any

from graftwork.config.components import TARGET, Component


def params_of(component: Component) -> dict[str, Any]:
    """Plain values from which `graftwork.config.components.build` makes an equal component."""
    cls = type(component)
    fields = dataclasses.fields(component)
    values = {field.name: _plain(getattr(component, field.name)) for field in fields if field.init}
    return {TARGET: f"{cls.__module__}.{cls.__qualname__}", **values}


def _plain(value: Any) -> Any:
    if isinstance(value, Component):
        return params_of(value)
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    return value
