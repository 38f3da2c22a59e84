"""One comparison: which runs, along which costs; told as sentences, rows and files."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from graftwork.errors import UserError, unknown
from graftwork.pareto.axes import SIDE_BY_SIDE, Axis, axis_of
from graftwork.pareto.candidates import Score
from graftwork.pareto.frontier import Candidate, Compared, by_data, compare

SHORT = 8  # characters of a digest


@dataclass(frozen=True)
class Comparison:
    """Runs on one test set, along several costs."""

    score: Score
    runs: list[Candidate]  # the best first
    along: list[tuple[Axis, Compared]]
    others: list[list[Candidate]]  # on other test sets: not compared
    absent: list[Axis]  # costs that would have been shown, had a run recorded them
    level: list[Axis]  # costs that would have been shown, did they differ

    @property
    def title(self) -> str:
        return f"{self.score.label} on {described(self.runs)}"

    def on_frontier(self, run: Candidate) -> list[str]:
        """The costs along which nothing dominates this run."""
        return [axis.word for axis, compared in self.along if run in compared.members]

    def sentences(self) -> list[str]:
        """What the picture does not show."""
        found = []
        for axis, compared in self.along:
            if compared.missing:
                found.append(
                    f"{_runs(len(compared.missing))} of {len(self.runs)} without {axis.word} "
                    "recorded: left out along it."
                )
        if self.absent:
            words = ", ".join(axis.word for axis in self.absent)
            found.append(f"No run has recorded: {words}.")
        if self.level:
            words = ", ".join(axis.word for axis in self.level)
            found.append(f"The same for all runs: {words}.")
        found += [
            f"{_runs(len(group))} on {described(group)} not compared: other test pictures. "
            f"Choose with --data {_choice(group)}."
            for group in self.others
        ]
        return found


def comparison(
    candidates: Sequence[Candidate], score: Score, words: Sequence[str], data: str | None
) -> Comparison:
    """Compares the runs of one test set.

    Args:
        candidates: with this score.
        score: what it is.
        words: costs; those of SIDE_BY_SIDE that are recorded if empty.
        data: beginning of a test set's digest, or a data set's name; None for the test set with
            most runs.

    Raises:
        UserError: no run, an unknown cost, one that no run has, or unknown data.
    """
    if not candidates:
        raise UserError("No finished run has this score: nothing to compare.")
    groups = by_data(candidates)
    chosen = groups[0] if data is None else _group(groups, data)
    recorded = {word for candidate in chosen for word in candidate.costs}
    axes = [axis_of(word, recorded) for word in words or SIDE_BY_SIDE]
    axes = list({axis.word: axis for axis in axes}.values())
    absent = [axis for axis in axes if axis.word not in recorded]
    if absent and (words or len(absent) == len(axes)):
        raise UserError(
            f"--cost: none of {_runs(len(chosen))} on {described(chosen)} has recorded "
            f"'{absent[0].word}'. Recorded: {', '.join(sorted(recorded)) or 'no cost'}."
        )
    known = [axis for axis in axes if axis not in absent]
    level = [] if words else [axis for axis in known if _is_level(chosen, axis)]
    higher = score.higher_is_better
    sign = 1 if higher else -1
    return Comparison(
        score,
        sorted(chosen, key=lambda run: -sign * run.value),
        [
            (axis, compare(chosen, axis.word, higher_is_better=higher))
            for axis in known
            if axis not in level
        ],
        [group for group in groups if group is not chosen],
        absent,
        level,
    )


def _is_level(runs: Sequence[Candidate], axis: Axis) -> bool:
    """Whether several runs cost the same: their picture would be a column."""
    found = [run.costs[axis.word] for run in runs if axis.word in run.costs]
    return len(found) > 1 and len(set(found)) == 1


def _group(groups: Sequence[list[Candidate]], data: str) -> list[Candidate]:
    for group in groups:
        if group[0].data.startswith(data) or data in {run.dataset for run in group}:
            return group
    raise unknown("--data", data, [_choice(group) for group in groups])


def described(group: Sequence[Candidate]) -> str:
    """A test set in words."""
    names = ", ".join(sorted({run.dataset for run in group}))
    digest = group[0].data[:SHORT]
    return f"{names} (test set {digest})" if digest else f"{names} (test set unknown)"


def _choice(group: Sequence[Candidate]) -> str:
    return group[0].data[:SHORT] or group[0].dataset


def _runs(count: int) -> str:
    return f"{count} run" if count == 1 else f"{count} runs"


def as_csv(shown: Comparison) -> str:
    """Every run for other programs: full precision, fractions instead of per cent."""
    words = [axis.word for axis, _ in shown.along]
    head = ["run_id", "name", "dataset", "data", "metric", "value", "low", "high"]
    text = io.StringIO()
    writer = csv.DictWriter(text, [*head, *words, "frontier"], lineterminator="\n")
    writer.writeheader()
    for run in shown.runs:
        row = _row(run, shown)
        costs = {word: run.costs.get(word) for word in words}
        frontier = " ".join(row.pop("frontier"))
        del row["costs"]
        writer.writerow({**row, **costs, "metric": shown.score.name, "frontier": frontier})
    return text.getvalue()


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
        "value": run.value,
        "low": run.low,
        "high": run.high,
        "costs": run.costs,
        "frontier": shown.on_frontier(run),
    }
