"""The resource table by layer groups: a page instead of a scroll."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from graftwork.models.network.layer_groups import LayerGroup
from graftwork.profiling.layers import Layer, Output

UNUSED = "not used"  # parameters that the chosen pooling leaves out


@dataclass(frozen=True)
class Group:
    """The sums of one layer group."""

    name: str
    output: tuple[int, ...]  # of its module, or of its last layer
    activation_kib: float  # fp32, one image
    parameters: int
    macs: int  # of one image
    receptive_field: int | None  # px, of that output; None: the whole input


def by_group(
    groups: Sequence[LayerGroup],
    layers: Sequence[Layer],
    outputs: Mapping[str, Output],
    inside: str,
) -> list[Group]:
    """Sums over the layers of each group, in the groups' order.

    A layer without parameters, such as a pooling, belongs to the group before it.

    Args:
        groups: with names of parameters, as `Classifier.layer_groups` gives them.
        layers: of the same network.
        outputs: of its modules: what branches return together is that of no single layer.
        inside: what stands before a group's name in the name of its module.
    """
    owner = {parameter: group.name for group in groups for parameter in group.parameters}
    members: dict[str, list[Layer]] = {group.name: [] for group in groups}
    current = groups[0].name
    for layer in layers:
        if layer.parameters:
            current = _group_of(layer, owner)
        members.setdefault(current, []).append(layer)
    return [_summed(name, found, outputs, inside) for name, found in members.items() if found]


def _group_of(layer: Layer, owner: dict[str, str]) -> str:
    inside = (group for name, group in owner.items() if f"{name}.".startswith(f"{layer.name}."))
    return next(inside, UNUSED)


def _summed(
    name: str, layers: Sequence[Layer], outputs: Mapping[str, Output], inside: str
) -> Group:
    run = [layer for layer in layers if layer.output]
    last = Output(run[-1].output, run[-1].receptive_field) if run else Output((), None)
    module = inside + name
    if run and run[-1].name.startswith(f"{module}."):  # nothing comes after it
        last = outputs.get(module, last)
    return Group(
        name=name,
        output=last.shape,
        activation_kib=sum(layer.activation_kib for layer in layers),
        parameters=sum(layer.parameters for layer in layers),
        macs=sum(layer.macs for layer in layers),
        receptive_field=last.receptive_field,
    )
