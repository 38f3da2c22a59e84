"""The names in a Hydra override: groups, their options, keys. Each against what there is."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from hydra.core.config_loader import ConfigLoader
from hydra.core.object_type import ObjectType
from hydra.core.override_parser.types import Override, OverrideType
from omegaconf import DictConfig, OmegaConf

from graftwork.config.errors import UserError, unknown
from graftwork.recording.tracked_params import SECRET


@dataclass(frozen=True)
class Groups:
    """The configuration groups and what can be chosen in each."""

    loader: ConfigLoader
    config_name: str
    search: list[str]  # overrides that say where else to look
    _known: dict[tuple[str, ObjectType], list[str]] = field(default_factory=dict, init=False)

    def options(self, group: str) -> list[str]:
        """The files of a group, without those that only others build on; none: not a group."""
        if "." in group:
            return []
        found = self._list(group, ObjectType.CONFIG)
        return [name for name in found if not name.startswith("_")]

    def exists(self, group: str) -> bool:
        return group.rpartition("/")[2] in self._list(group.rpartition("/")[0], ObjectType.GROUP)

    def names(self, parent: str = "") -> list[str]:
        """Every group by its path, Hydra's own left out."""
        inner = [name for name in self._list(parent, ObjectType.GROUP) if name != "hydra"]
        paths = [f"{parent}/{name}".lstrip("/") for name in inner]
        return [*paths, *itertools.chain.from_iterable(map(self.names, paths))]

    def _list(self, group: str, kind: ObjectType) -> list[str]:
        """Hydra composes anew for every answer, 20 ms; each question is asked many times."""
        if (group, kind) not in self._known:
            found = self.loader.get_group_options(group, kind, self.config_name, self.search)
            self._known[group, kind] = found
        return self._known[group, kind]

    def chosen_by(self, override: Override) -> bool:
        """Whether the override chooses among files, as `model=...` does."""
        group = override.key_or_group
        return "." not in group and self.exists(group) and not isinstance(override.value(), dict)


def check_secret(override: Override) -> None:
    """What is typed is written to several files; a password must not be."""
    if SECRET.search(override.key_or_group):
        raise UserError(
            f"{override.key_or_group}: a secret on the command line ends up in recorded files. "
            "Pass it in the environment."
        )


def check_options(override: Override, groups: Groups) -> None:
    """Raises UserError for `model=efficientnt_lite0`, in a sweep's list too."""
    group = override.key_or_group
    if "/" in group and not groups.exists(group):
        raise unknown("group", group, groups.names())
    if override.is_delete() or not groups.chosen_by(override):
        return
    legal = groups.options(group)
    values = choices_of(override) if override.is_sweep_override() else [override.value()]
    for choice in itertools.chain.from_iterable(map(_names, values)):
        folder, _, name = f"{group}/{choice}".rpartition("/")
        if name not in groups.options(folder):
            raise unknown(group, choice, legal)


def _names(choice: Any) -> list[str]:
    """Of one option or of a list of them."""
    return [str(item) for item in (choice if isinstance(choice, list) else [choice])]


def choices_of(override: Override) -> list[str]:
    """The values of a sweep, as text; of a continuous range, its beginning."""
    if override.is_discrete_sweep():
        return [str(value) for value in override.sweep_string_iterator()]
    interval: Any = override.value()
    return [str(interval.start)]


def check_key(override: Override, base: DictConfig, groups: Groups) -> None:
    """Raises UserError for `datset.path=x` and `~trainer.batchsize`, which name what is not there.

    Whether an added key may be there (`+trainer.typo=1`), the component itself says.
    """
    parts = override.key_or_group.split(".")
    value = None if _adds(override) or override.is_sweep_override() else override.value()
    for inner in _paths(value):
        _check_path([*parts, *inner], override, base, groups)


def _paths(value: Any) -> Iterator[list[str]]:
    """Of every value within `{a: 1, b: {c: 2}}`; one empty path for anything but a mapping."""
    if not isinstance(value, dict) or not value:
        yield []
        return
    for key, inner in value.items():
        yield from ([str(key), *path] for path in _paths(inner))


def _check_path(parts: list[str], override: Override, base: DictConfig, groups: Groups) -> None:
    node: Any = base
    for depth, part in enumerate(parts):
        if not isinstance(node, DictConfig) or node._is_missing() or node._is_interpolation():
            return
        if part not in list(node):  # `in` alone overlooks keys whose value is missing
            if depth and _adds(override):
                return
            own = [*_deeper(node, part), *([] if depth else groups.names())]
            empty = not node and not override.is_delete()  # `options: {}` says not what fits
            remedy = f"To add it, write +{override.input_line}" if empty else ""
            raise _unknown_key(parts, depth, [*map(str, node), *own], remedy)
        node = node._get_node(part)  # unresolved: `${hydra:...}` has no value before Hydra runs


def _deeper(node: DictConfig, part: str) -> Iterator[str]:
    """Where this key stands a level below: `objective.label_smoothing` for `label_smoothing`."""
    plain: Any = OmegaConf.to_container(node, resolve=False)
    for name, inner in plain.items():
        if isinstance(inner, dict) and part in inner:
            yield f"{name}.{part}"


def _adds(override: Override) -> bool:
    return override.type in (OverrideType.ADD, OverrideType.FORCE_ADD)


def _unknown_key(parts: list[str], depth: int, legal: Iterable[str], remedy: str) -> UserError:
    names = [name for name in legal if depth or name != "hydra" or parts[0].startswith("hyd")]
    return unknown(".".join(parts[: depth + 1]), parts[depth], dict.fromkeys(names), remedy)
