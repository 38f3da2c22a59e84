"""The names in a Hydra override: groups, their options, keys. Each against what there is."""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from hydra.core.config_loader import ConfigLoader
from hydra.core.object_type import ObjectType
from hydra.core.override_parser.types import Override, OverrideType
from omegaconf import DictConfig, OmegaConf

from graftwork.errors import UserError, unknown
from graftwork.tracked_params import SECRET


def check_secret(override: Override) -> None:
    if SECRET.search(override.key_or_group):
        raise UserError(
            f"{override.key_or_group}: a secret on the command line ends up in recorded files. "
            "Pass it in the environment."
        )


def is_group(override: Override, loader: ConfigLoader) -> bool:
    """Whether it chooses among files, as `model=...` does."""
    value = override.value()
    return bool(_options(override.key_or_group, loader)) and not isinstance(value, dict)


def _options(group: str, loader: ConfigLoader) -> list[str]:
    if "." in group:
        return []
    found = loader.get_group_options(group, ObjectType.CONFIG)
    return [name for name in found if not name.startswith("_")]


def check_options(override: Override, loader: ConfigLoader) -> None:
    group = override.key_or_group
    if "/" in group and not group.startswith("hydra/") and not _options(group, loader):
        raise unknown("group", group, _groups(loader))
    if override.is_delete() or not is_group(override, loader):
        return
    chosen = choices_of(override) if override.is_sweep_override() else [override.value()]
    for choice in itertools.chain.from_iterable(_names(item) for item in chosen):
        if choice not in _options(group, loader) and loader.get_group_options(group):
            nested = loader.get_group_options(f"{group}/{Path(choice).parent}", ObjectType.CONFIG)
            if "/" in choice and Path(choice).name in nested:
                continue
            raise unknown(group, choice, _options(group, loader))


def _names(choice: Any) -> list[str]:
    """Of one option or of a list of them; `null` chooses nothing."""
    items = choice if isinstance(choice, list) else [choice]
    return [str(item) for item in items if item is not None and str(item) != "null"]


def _groups(loader: ConfigLoader, parent: str = "") -> list[str]:
    found = []
    for name in loader.list_groups(parent):
        path = f"{parent}/{name}" if parent else name
        if path != "hydra":
            found += [path, *_groups(loader, path)]
    return found


def choices_of(override: Override) -> list[str]:
    """The values of a sweep, as text; of a continuous range, its beginning."""
    if override.is_discrete_sweep():
        return [str(value) for value in override.sweep_string_iterator()]
    interval: Any = override.value()
    return [str(interval.start)]


def assigned(override: Override, value: str) -> str:
    return f"{override.get_key_element()}={value}"


def check_key(override: Override, base: DictConfig, loader: ConfigLoader) -> None:
    """`datset.path=x` and `~trainer.batchsize` name what is not there."""
    added = override.type in (OverrideType.ADD, OverrideType.FORCE_ADD)
    node: Any = base
    parts = override.key_or_group.split(".")
    for depth, part in enumerate(parts):
        if not isinstance(node, DictConfig):
            return
        if part not in node:
            if added and not depth:
                raise _unknown_key(parts, depth, [*map(str, base), *_groups(loader)])
            if added:  # whether it may be there, the component itself says
                return
            raise _unknown_key(parts, depth, map(str, node))
        node = node[part] if not OmegaConf.is_missing(node, part) else None


def _unknown_key(parts: list[str], depth: int, legal: Iterable[str]) -> UserError:
    names = [name for name in legal if name != "hydra" or parts[0].startswith("hydr")]
    return unknown(".".join(parts[: depth + 1]), parts[depth], dict.fromkeys(names))
