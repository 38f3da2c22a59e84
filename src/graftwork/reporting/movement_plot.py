"""How far each layer group moved in training, as bars from the stem to the head."""

from __future__ import annotations

from typing import Any

from markupsafe import Markup

from graftwork.reporting.charts import (
    Spec,
    colour,
    field,
    heading,
    nominal,
    panel,
    ticked,
    told,
    vega_lite,
)
from graftwork.reporting.numbers import number, short
from graftwork.training.audit_record import Audit, Group

KINDS = {"moved": "parameters", "statistics_moved": "statistics of BatchNorm"}
ROW = 22  # px
WIDTH = 420  # px


def movement(audit: Audit | None) -> Markup | None:
    """Bars of the relative change; None where no network was trained.

    Parameters and statistics stand side by side where statistics moved.
    """
    if audit is None or not audit.groups:
        return None
    statistics = any(group.statistics_moved for group in audit.groups)
    kinds = [key for key in KINDS if key == "moved" or statistics]
    rows = [_row(group, key) for group in audit.groups for key in kinds if _known(group, key)]
    colours = {KINDS["moved"]: colour("one"), KINDS["statistics_moved"]: colour("two")}
    scale = {"domain": list(colours)[: len(kinds)], "range": list(colours.values())[: len(kinds)]}
    legend = {"orient": "top", "offset": 4} if statistics else None
    axis = ticked(True, tickCount=5, grid=True)
    height = {"step": ROW / len(kinds)}
    beside: Spec = {"yOffset": nominal("kind", sort=list(KINDS.values()))} if statistics else {}
    chart = panel(
        rows,
        (WIDTH, height),
        [told("bar", {"opacity": 1})],
        y=nominal("group", sort=None, axis={"domain": False, "ticks": False}),
        x=field("change", title="change, relative to the size before", axis=axis),
        color=nominal("kind", scale=scale, legend=legend),
        **beside,
    )
    words = "L2 norm of the change of a layer group over its norm before the first step"
    title = heading("How far each layer group moved", words)
    return vega_lite({"title": title, **chart}, "How far each layer group moved in training")


def _known(group: Group, key: str) -> bool:
    return getattr(group, key) is not None


def _row(group: Group, key: str) -> dict[str, Any]:
    change = float(getattr(group, key))
    about = f"{group.name}: {KINDS[key]} moved by {share(change)}"
    return {"group": group.name, "kind": KINDS[key], "change": change, "about": about}


def share(change: float | None) -> str:
    """A relative change for a table; nothing that moved is 0 to a reader who looks for it."""
    if change is None:
        return "–"
    return "0" if not change else f"{100 * change:.2g}\u202f%"


def lines(audit: Audit | None) -> list[dict[str, str]]:
    """The same and the plan as words: a line a group."""
    if audit is None:
        return []
    return [
        {
            "group": group.name,
            "parameters": short(group.parameters),
            "trained": short(group.trained) if group.trained else "–",
            "epochs": ", ".join(f"{span.first} to {span.last}" for span in group.spans) or "–",
            "rates": _rates(group),
            "batch_norm": group.batch_norm or "–",
            "moved": share(group.moved),
            "statistics": share(group.statistics_moved),
        }
        for group in audit.groups
    ]


def _rates(group: Group) -> str:
    if group.lowest_rate is None or group.highest_rate is None:
        return "–"
    low, high = number(group.lowest_rate), number(group.highest_rate)
    return low if low == high else f"{low} to {high}"
