"""Hydra's composition of files, done once for each choice of files: tests differ in values mostly.

What is typed is parsed, checked and applied as ever; the files that it chooses are read anew where
one of them has changed.
"""

from __future__ import annotations

import copy
import functools
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from hydra._internal import config_loader_impl, defaults_list
from hydra._internal.config_loader_impl import ConfigLoaderImpl
from hydra._internal.defaults_list import DefaultsList, Overrides
from omegaconf import DictConfig


def install() -> None:
    loader = ConfigLoaderImpl
    made = config_loader_impl.create_defaults_list
    config_loader_impl.create_defaults_list = _files_found_once(made)
    choices = defaults_list._create_interpolation_map
    defaults_list._create_interpolation_map = functools.partial(_if_asked, choices)
    merged = loader._compose_config_from_defaults_list
    loader._compose_config_from_defaults_list = _files_merged_once(merged)


def _files_found_once(find: Callable[..., DefaultsList]) -> Callable[..., DefaultsList]:
    """Which files are chosen, by the groups that are typed; values choose none."""
    found: dict[Any, DefaultsList] = {}

    @functools.wraps(find)
    def kept(repo: Any, config_name: Any, overrides_list: list[Any], **options: Any) -> Any:
        values = Overrides(repo, overrides_list).config_overrides
        groups = [one.input_line for one in overrides_list if one not in values]
        key = _files(repo), config_name, *groups, *sorted(options.items())
        if key not in found:
            found[key] = find(repo, config_name, overrides_list, **options)
        old = found[key]
        return DefaultsList(old.defaults, old.defaults_tree, values, old.overrides)

    return kept


def _if_asked(
    choices: Callable[..., DictConfig], overrides: Any, defaults: list[Any], self_added: bool
) -> DictConfig:
    """What a defaults list may refer to. Hydra makes it for every file, a third of all composing,
    and reads it where a default is an interpolation."""
    others = (one for one in defaults if not one.is_self() and not one.is_override())
    if any(one.is_interpolation() for one in others):
        return choices(overrides, defaults, self_added)
    return DictConfig({})


def _files_merged_once(merge: Callable[..., Any]) -> Callable[..., Any]:
    merged: dict[Any, Any] = {}

    @functools.wraps(merge)
    def kept(self: Any, defaults: list[Any], repo: Any) -> Any:
        key = _files(repo), *map(repr, defaults)
        if key not in merged:
            merged[key] = merge(self, defaults, repo)
        return copy.deepcopy(merged[key])

    return kept


def _files(repo: Any) -> tuple[Any, ...]:
    """The places that are searched, and when each file of them was changed."""
    return tuple((source.scheme(), source.path, *_changes(source)) for source in repo.get_sources())


def _changes(source: Any) -> Iterator[tuple[str, int, int]]:
    if source.scheme() == "file":
        for folder, _, names in os.walk(Path(source.path)):
            for name in names:
                state = os.stat(place := os.path.join(folder, name))
                yield place, state.st_mtime_ns, state.st_size
