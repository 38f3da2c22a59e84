"""What a training gave, as plain values and back."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from graftwork.selecting.record import GoneBack
from graftwork.training.audit_record import Audit, Group, Span
from graftwork.training.plan import Plan
from graftwork.training.trained import Trained
from graftwork.transfer.parts import Moment

if TYPE_CHECKING:
    import torch

    from graftwork.training.stored_prefix import StoredPrefix

# What a process that goes on has at hand anyway.
AT_HAND = ("start", "prefix")


def facts_of(trained: Trained) -> dict[str, Any]:
    """All but the tensors and the stored maps."""
    fields = [field.name for field in dataclasses.fields(trained) if field.name not in AT_HAND]
    facts = {name: getattr(trained, name) for name in fields}
    facts["gone_back"] = [dataclasses.asdict(gone) for gone in trained.gone_back]
    facts["ended"] = dataclasses.asdict(trained.ended)
    if (plan := trained.plan) is not None:
        audit = dataclasses.asdict(plan.audit)
        facts["plan"] = {"audit": audit, "may_move": sorted(plan.may_move)}
    return facts


def trained_of(
    facts: Mapping[str, Any], start: dict[str, torch.Tensor], prefix: StoredPrefix | None
) -> Trained:
    """The way back."""
    back = [GoneBack(**gone) for gone in facts["gone_back"]]
    parts = {"gone_back": back, "ended": Moment(**facts["ended"]), "plan": plan_of(facts["plan"])}
    return Trained(start=start, prefix=prefix, **{**facts, **parts})


def plan_of(facts: Mapping[str, Any] | None) -> Plan | None:
    if facts is None:
        return None
    audit = dict(facts["audit"])
    groups = [
        Group(**{**group, "spans": [Span(**span) for span in group["spans"]]})
        for group in audit.pop("groups")
    ]
    return Plan(Audit(groups=groups, **audit), frozenset(facts["may_move"]))
