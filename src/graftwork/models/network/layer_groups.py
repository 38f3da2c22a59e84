"""Layer groups: the stretches of a network that are trained, frozen and paced as one."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from os.path import commonprefix
from typing import Any

from graftwork.models.network.attached import plain_name

Backbone = Any  # a torch module with timm's interface


@dataclass(frozen=True)
class LayerGroup:
    """A stretch of the network that is trained, frozen and paced as one."""

    name: str  # such as stem, blocks.3, head
    parameters: tuple[str, ...]  # names within the classifier


def backbone_groups(backbone: Backbone, unused: frozenset[str]) -> list[LayerGroup]:
    """timm's coarse layer groups, from the stem on, named by the modules they hold."""
    members = _coarse_groups(backbone)
    used = [tuple(name for name in names if name not in unused) for names in members]
    used = [*_with_their_norms(backbone, [names for names in used if names])]
    titles = getattr(backbone, "group_names", None) or _titles(used)
    return [
        LayerGroup(title, tuple(f"backbone.{name}" for name in names))
        for title, names in zip(titles, used, strict=True)
    ]


def _coarse_groups(backbone: Backbone) -> list[list[str]]:
    """Names of parameters. A few of timm's networks cannot say: then each child is a group, and
    of a child that is a list each item."""
    from graftwork.process.vision import timm

    try:
        matcher = backbone.group_matcher(coarse=True)
    except (AttributeError, AssertionError):
        found: dict[tuple[str, ...], list[str]] = {}
        for name in dict.fromkeys(plain_name(name) for name, _ in backbone.named_parameters()):
            first, second = name.split(".")[0], name.split(".")[1:2]
            key = (first, *(part for part in second if part.isdecimal()))
            found.setdefault(key, []).append(name)
        return list(found.values())
    named = timm.models.group_parameters(backbone, matcher).values()
    return [list(dict.fromkeys(map(plain_name, names))) for names in named]


def _with_their_norms(
    backbone: Backbone, groups: list[tuple[str, ...]]
) -> Iterator[tuple[str, ...]]:
    """A group of nothing but normalisation goes with the layers before it.

    timm makes such groups of VGG's BatchNorms and of a last norm; frozen or trained on its own,
    apart from the layer that it follows, neither means anything.
    """
    collected: tuple[str, ...] = ()
    # Of a weight with an update all the update's are matrices, as it is one itself.
    flat = {plain_name(name) for name, p in backbone.named_parameters() if p.ndim == 1}
    for names in groups:
        alone = flat.issuperset(names)
        if collected and not alone:
            yield collected
            collected = ()
        collected += names
    yield collected


def _titles(groups: list[tuple[str, ...]]) -> list[str]:
    """`stem`, then for each group the shortest module path that tells it apart (`blocks.3`)."""
    shared = [_shared_path(names) for names in groups[1:]]
    paths = [  # DenseNet's blocks, each with its transition, share no more than `features`
        names[0].split(".")[:-1] if shared.count(path) > 1 else path
        for names, path in zip(groups[1:], shared, strict=True)
    ]
    for depth in range(1, max(map(len, paths), default=1) + 1):
        titles = [".".join(path[:depth]) for path in paths]
        if len(set(titles)) == len(titles):
            return ["stem", *titles][: len(groups)]
    return ["stem", *(f"group.{index}" for index in range(1, len(groups)))]


def _shared_path(names: tuple[str, ...]) -> list[str]:
    """The module path that the members share.

    timm merges last layers into the last block; the group keeps the block's path.
    """
    top = names[0].split(".")[0]
    inside = [name.split(".") for name in names if name.split(".")[0] == top]
    return list(commonprefix([path[:-1] or path for path in inside]))
