"""Calls into libraries that coverage does not follow: following them takes longer than they do."""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable
from typing import Any

import yaml
from hydra._internal.config_loader_impl import ConfigLoaderImpl


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


def install_in_mlflow() -> None:
    """Recording a run, where MLflow is imported anyway."""
    from mlflow import MlflowClient

    for name in ("__init__", "create_run", "get_run", "log_batch", "log_text", "set_terminated"):
        setattr(MlflowClient, name, untraced(getattr(MlflowClient, name)))
