"""What a step that was run again says, in words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from graftwork.training.replaying import Layer, Seen

NUMBERS = {"loss": "loss", "total": "minimised", "norm": "gradient"}  # the objective's loss first


@dataclass(frozen=True)
class Facts:
    """What was found.

    Attributes:
        same: whether every number is the recorded one, bit for bit.
        rows: of a table.
        wrong: pictures of the step for which the first layer gave no numbers, of each process.
    """

    same: bool
    rows: list[tuple[str, str]]
    wrong: list[list[int]]


def facts_of(record: Mapping[str, Any], seen: Sequence[Seen]) -> Facts:
    """Of what was recorded and what each process found now."""
    first = seen[0]
    now = {name: getattr(first, name).hex() for name in NUMBERS}
    steps = [loss.hex() for loss in first.before]
    same = all(now[name] == record[name] for name in NUMBERS) and steps == record["before"]
    rows = [("step", _step(record))]
    alike = record["loss"] == record["total"] and now["loss"] == now["total"]
    told = [name for name in NUMBERS if name != "total" or not alike]
    rows += [(NUMBERS[name], _number(record[name], now[name])) for name in told]
    rows.append(("before", _before(record["before"], steps)))
    rows += [(words, _layer(each.layer)) for words, each in _by_process("layer", seen)]
    groups = [group for group in first.groups if all(group in each.groups for each in seen)]
    none = f"no number in {', '.join(groups)}" if groups else "numbers in every layer group"
    rows.append(("gradients", none))
    return Facts(same, rows, [each.layer.rows if each.layer else [] for each in seen])


def _step(record: Mapping[str, Any]) -> str:
    pictures = sum(len(shown["keys"]) for shown in record["shown"])
    return (
        f"epoch {record['epoch'] + 1}, step {record['step'] + 1}, after {record['done']} steps; "
        f"{pictures} pictures; {record['wrong']}"
    )


def _number(recorded: str, now: str) -> str:
    value = f"{float.fromhex(now):.6g}"
    if recorded == now:
        return f"{value}, the recorded one bit for bit"
    return f"{value}, NOT the recorded one ({float.fromhex(recorded):.6g})"


def _before(recorded: Sequence[str], now: Sequence[str]) -> str:
    if list(recorded) == list(now):
        return f"losses of {len(now)} steps before it, bit for bit"
    return f"losses of the steps before it are NOT the recorded ones ({len(recorded)})"


def _by_process(name: str, seen: Sequence[Seen]) -> list[tuple[str, Seen]]:
    if len(seen) == 1:
        return [(name, seen[0])]
    return [(f"{name} {rank}", each) for rank, each in enumerate(seen)]


def _layer(layer: Layer | None) -> str:
    if layer is None:
        return "every layer gave numbers: look at the loss, or at the way back"
    of = f", for {len(layer.rows)} of the pictures" if layer.rows else ""
    return (
        f"{layer.name or 'the network'} ({layer.kind}) is the first whose output held none: "
        f"{layer.wrong} of {layer.values} values{of}"
    )
