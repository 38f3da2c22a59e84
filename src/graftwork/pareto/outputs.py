"""A comparison for other programs: every run, in full precision, fractions instead of per cent."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from graftwork.pareto.comparison import Comparison
from graftwork.pareto.frontier import Candidate
from graftwork.storage import csv_tables

ENDS = ("value", "low", "high")


def as_csv(shown: Comparison) -> str:
    """One row a run, the best first."""
    words = [axis.word for axis, _ in shown.along]
    head = ["run_id", "name", "dataset", "data", "method", "on", "metric", *ENDS]
    head += [f"test_{end}" for end in ENDS]
    rows = []
    for run in shown.runs:
        row = _row(run, shown)
        costs = {word: run.costs.get(word) for word in words}
        frontier = " ".join(row.pop("frontier"))
        test = {f"test_{end}": value for end, value in (row.pop("test") or {}).items()}
        del row["costs"]
        facts = {"metric": shown.score.name, "on": shown.score.on, "frontier": frontier}
        rows.append({**row, **test, **costs, **facts})
    return csv_tables.as_csv([*head, *words, "frontier"], rows)


def as_json(shown: Comparison) -> str:
    """The same with the frontier of each cost, by rising cost."""
    axes = {
        axis.word: {
            "label": axis.label,
            "frontier": [run.run_id for run in compared.members],
            "left_out": [run.run_id for run in compared.missing],
        }
        for axis, compared in shown.along
    }
    facts: Mapping[str, Any] = {
        "metric": shown.score.name,
        "on": shown.score.on,
        "higher_is_better": shown.score.higher_is_better,
        "confidence": shown.score.confidence,
        "costs": axes,
        "runs": [_row(run, shown) for run in shown.runs],
        "not_compared": [
            {"data": group[0].data, "runs": [run.run_id for run in group]} for group in shown.others
        ],
    }
    return json.dumps(facts, indent=1) + "\n"


def _row(run: Candidate, shown: Comparison) -> dict[str, Any]:
    return {
        "run_id": run.run_id,
        "name": run.name,
        "dataset": run.dataset,
        "data": run.data,
        "method": run.method,
        "value": run.value,
        "low": run.low,
        "high": run.high,
        "test": vars(run.test) if run.test else None,
        "costs": run.costs,
        "frontier": shown.on_frontier(run),
    }
