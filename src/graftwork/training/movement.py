"""How far training moved a network, and whether anything moved that was to stay."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import torch

from graftwork.config.errors import UserError
from graftwork.training.audit_record import Audit, Group

if TYPE_CHECKING:
    from graftwork.models.network.classifier import Classifier
    from graftwork.training.plan import Plan

State = Mapping[str, torch.Tensor]
STATISTICS = ("running_mean", "running_var")
NAMED = 5  # tensors that an error lists


def audited(plan: Plan, classifier: Classifier, start: State) -> Audit:
    """The plan, and how far each group of it moved.

    Args:
        classifier: as it is kept.
        start: its state dict before the first step of all.

    Raises:
        UserError: something moved that the strategy keeps.
    """
    end = classifier.state_dict()
    moved = [name for name, tensor in end.items() if not torch.equal(tensor, start[name])]
    strays = [name for name in moved if name not in plan.may_move]
    if strays:
        raise UserError(_astray(strays, start, end))
    names = {group.name: group.parameters for group in classifier.layer_groups()}
    changed = {name: end[name] for name in moved}  # the others are equal, bit for bit
    groups = [_measured(group, names[group.name], start, changed) for group in plan.audit.groups]
    return replace(plan.audit, groups=groups)


def _astray(strays: Sequence[str], start: State, end: State) -> str:
    listed = (f"{name} (by {_size(_change([name], start, end))})" for name in strays[:NAMED])
    more = f" and {len(strays) - NAMED} more" if len(strays) > NAMED else ""
    return (
        f"training moved what the strategy keeps as it is: {', '.join(listed)}{more}. A part of "
        "the strategy, or the network itself, changes it behind the optimiser's back: nothing was "
        "kept. Take that part out, or let it be trained (transfer.trainable, transfer.batch_norm)."
    )


def _size(change: float | None) -> str:
    return "all" if change is None else f"{100 * change:.3g} %"


def _measured(group: Group, names: Sequence[str], start: State, changed: State) -> Group:
    """Of a group by the names of its parameters.

    Args:
        changed: tensors that are others than at the start.
    """
    modules = {name.rpartition(".")[0] for name in names}
    statistics = [f"{module}.{kind}" for module in sorted(modules) for kind in STATISTICS]
    known = [name for name in statistics if name in start]
    return replace(
        group,
        moved=_change(names, start, changed),
        statistics_moved=_change(known, start, changed) if known else None,
    )


def _change(names: Sequence[str], start: State, changed: State) -> float | None:
    """L2 norm of the change of these tensors together, relative to theirs before; None: they were
    zero."""
    ours = [name for name in names if name in changed]
    change = _norm([changed[name].float() - start[name].float() for name in ours])
    if not change:
        return 0.0
    before = _norm([start[name].float() for name in names])
    return change / before if before else None


def _norm(tensors: Sequence[torch.Tensor]) -> float:
    norms = [torch.linalg.vector_norm(tensor) for tensor in tensors]
    return float(torch.stack(norms).norm()) if norms else 0.0
