"""Calls into libraries that tests make most: not followed by coverage, which takes longer than
they do, and without what nobody asks for."""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable
from typing import Any

import yaml
from hydra._internal import defaults_list
from hydra._internal.config_loader_impl import ConfigLoaderImpl
from omegaconf import DictConfig


def untraced(function: Callable[..., Any]) -> Callable[..., Any]:
    """The same function, during which no line counts as run: for what runs none of this project."""

    @functools.wraps(function)
    def quick(*given: Any, **named: Any) -> Any:
        tracer = sys.gettrace()
        sys.settrace(None)
        try:
            return function(*given, **named)
        finally:
            sys.settrace(tracer)

    return quick


def install() -> None:
    """Composing a configuration, reading YAML and writing it are what tests do most."""
    for name in ("load_configuration", "get_group_options"):
        setattr(ConfigLoaderImpl, name, untraced(getattr(ConfigLoaderImpl, name)))
    yaml.load, yaml.dump_all = untraced(yaml.load), untraced(yaml.dump_all)
    # libyaml's parser, as commands use it: composing is reading.
    yaml.SafeLoader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # type: ignore[misc]
    real = defaults_list._create_interpolation_map
    defaults_list._create_interpolation_map = functools.partial(choices_if_asked, real)


def choices_if_asked(
    choices: Callable[..., DictConfig], overrides: Any, defaults: list[Any], self_added: bool
) -> DictConfig:
    """What a defaults list may refer to. Hydra makes it for every file, a third of all composing,
    and reads it where a default is an interpolation."""
    others = (one for one in defaults if not one.is_self() and not one.is_override())
    if any(one.is_interpolation() for one in others):
        return choices(overrides, defaults, self_added)
    return DictConfig({})


def install_in_mlflow() -> None:
    """Recording a run, where MLflow is imported anyway."""
    from mlflow import MlflowClient

    for name in ("__init__", "create_run", "get_run", "log_batch", "log_text", "set_terminated"):
        setattr(MlflowClient, name, untraced(getattr(MlflowClient, name)))
