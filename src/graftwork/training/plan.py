"""The plan of a training: what is trained, when and how fast, said before the first step.

It follows from the strategy and from the names of the network alone, not from what freezing did to
the modules: so what moves in the end can be held against it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from graftwork.models.batch_norm import moves_statistics, trains_affine
from graftwork.models.network.attached import plain_name
from graftwork.models.network.classifier import BATCH_NORMS
from graftwork.models.network.layer_groups import LayerGroup
from graftwork.models.network.layout import BACKBONE
from graftwork.training.audit_record import Audit, Group, Span

if TYPE_CHECKING:
    import torch

    from graftwork.models.network.classifier import Classifier
    from graftwork.training.graft_module import GraftModule

MODES = {(False, False): "frozen", (True, False): "adapt", (False, True): "affine"}


@dataclass(frozen=True)
class Plan:
    """What may move, and how it is told."""

    audit: Audit  # what moved is not known yet
    may_move: frozenset[str]  # parameters and buffers by name, of the network without its adapter

    def and_then(self, later: Plan | None) -> Plan:
        """Of a training that goes on with a strategy of its own."""
        return self if later is None else replace(self, may_move=self.may_move | later.may_move)


def plan_of(
    module: GraftModule, plain: Mapping[str, torch.Tensor], groups: Sequence[Mapping[str, Any]]
) -> Plan:
    """The plan of a training that is about to begin.

    Args:
        plain: names and tensors of the network as it is without an adapter.
        groups: of the optimiser.
    """
    classifier, transfer = module.classifier, module.transfer
    layout, trainable, mode = module.layout, transfer.trainable, transfer.batch_norm
    kept = frozenset() if trains_affine(mode) else layout.batch_norms
    moments = trainable.moments(layout.names, module.epochs)
    epochs = [classifier.movable(trainable.parameters(layout, moment) - kept) for moment in moments]
    ever = frozenset[str]().union(*epochs)
    head = classifier.layer_groups()[-1]
    told = [
        *(_group(module, group, plain, epochs, groups) for group in layout.groups),
        _group(module, head, plain, [frozenset(head.parameters)] * len(epochs), groups),
    ]
    # Of what an adapter takes the place of, without an update that is told apart, all may move.
    replaced = plain.keys() - {plain_name(name) for name in classifier.state_dict()}
    buffers = _moving_buffers(classifier, ever | frozenset(head.parameters), mode)
    may_move = ever | {*head.parameters, *buffers, *replaced}
    warned = _warnings(module, ever, told)
    return Plan(Audit(mode, told, trainable.notes(layout), warned), may_move)


def _group(
    module: GraftModule,
    group: LayerGroup,
    plain: Mapping[str, torch.Tensor],
    epochs: Sequence[frozenset[str]],
    optimised: Sequence[Mapping[str, Any]],
) -> Group:
    """One row of the plan."""
    named = module.classifier.named_of(group)  # an update in place of a weight that it changes
    ever = frozenset[str]().union(*epochs)
    counts = [sum(p.numel() for name, p in named if name in trained) for trained in epochs]
    members = {id(parameter) for name, parameter in named if name in ever}
    rates = [
        (float(one.get("initial_lr", one["lr"])), float(one["weight_decay"]))
        for one in optimised
        if any(id(parameter) in members for parameter in one["params"])
    ]
    return Group(
        name=group.name,
        parameters=sum(plain[name].numel() for name in group.parameters),
        spans=list(_spans(counts)),
        lowest_rate=min((rate for rate, _ in rates), default=None),
        highest_rate=max((rate for rate, _ in rates), default=None),
        weight_decay=max((decay for _, decay in rates), default=None),
        batch_norm=_batch_norm(module, group, ever),
        moved=None,
        statistics_moved=None,
    )


def _spans(counts: Sequence[int]) -> Iterator[Span]:
    """Of how many parameters are trained in each epoch."""
    begun = 0
    for epoch in range(1, len(counts) + 1):
        if epoch == len(counts) or counts[epoch] != counts[begun]:
            if counts[begun]:
                yield Span(begun + 1, epoch, counts[begun])
            begun = epoch


def _batch_norm(module: GraftModule, group: LayerGroup, ever: frozenset[str]) -> str:
    """What becomes of the group's BatchNorm; empty where it has none."""
    norms = module.layout.batch_norms.intersection(group.parameters)
    if not norms:
        return ""
    mode, trained = module.transfer.batch_norm, not ever.isdisjoint(norms)
    follows = mode == "adapt" or (trained and moves_statistics(mode))
    return MODES.get((follows, trained), "trained")


def _moving_buffers(classifier: Classifier, trained: frozenset[str], mode: str) -> Iterator[str]:
    """Buffers that follow the data: statistics of BatchNorm as its mode says, and whatever else a
    trained module keeps."""
    owners = {name.rpartition(".")[0] for name in trained}

    def has_trained(module: str) -> bool:
        return any(owner == module or owner.startswith(f"{module}.") for owner in owners)

    for name, module in classifier.named_modules():
        some = next(module.parameters(), None) is not None
        moves = has_trained(name if some else name.rpartition(".")[0])
        if isinstance(module, BATCH_NORMS) and name.startswith(BACKBONE):
            moves = mode == "adapt" or (moves and moves_statistics(mode))
        if moves:
            yield from (f"{name}.{buffer}" for buffer, _ in module.named_buffers(recurse=False))


def _warnings(module: GraftModule, ever: frozenset[str], groups: Sequence[Group]) -> list[str]:
    """What somebody who chose these settings may not have meant."""
    layout, mode = module.layout, module.transfer.batch_norm
    asked = module.transfer.trainable.asked(layout, module.epochs)
    found = [
        f"{what} chooses nothing but BatchNorm, which transfer.batch_norm={mode} keeps as it is: "
        "nothing of that is trained. Set transfer.batch_norm=affine, or trained."
        for what, names in asked.items()
        if names and names.isdisjoint(ever)
    ]
    weights = zip(layout.groups, groups, strict=False)
    drifting = [
        told.name
        for group, told in weights
        if told.batch_norm in ("adapt", "trained")
        and ever.isdisjoint(frozenset(group.parameters) - layout.norms)
    ]
    if drifting:
        found.append(
            f"Frozen layers drift: the statistics of BatchNorm in {', '.join(drifting)} follow the "
            f"new data (transfer.batch_norm={mode}) while the weights there stay."
        )
    return found
