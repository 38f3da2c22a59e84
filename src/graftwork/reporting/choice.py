"""How what is kept was chosen, as the report and the terminal tell it."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup

from graftwork.metrics.base import Metric
from graftwork.reporting import selection_plots
from graftwork.reporting.numbers import number
from graftwork.reporting.score_words import Line, Scores, expected_words, lines, told
from graftwork.selecting.record import GoneBack, SelectionRecord

HEADINGS = {
    "validation": "The validation split",
    "matched": "Clusters as far from the rest as new photos are",
    "grouped": "Whole groups",
    "random": "Single pictures at random",
    "none": "Nothing was held out",
}
NOTHING = (
    "So nothing can be chosen by this run: it has no selection score, and a sweep cannot rank it."
)
KEPT_START = (
    "Every attempt destroyed the network. What training began from was kept: the "
    "scores are those of the probe, not of a trained network."
)


@dataclass(frozen=True)
class Beginning:
    """What training began from, beside what it led to, on one split."""

    split: str
    lines: Sequence[Line]  # told: start, result, their paired difference
    differs: bool  # whether a difference is given


@dataclass(frozen=True)
class Choice:
    """What the section of the report shows."""

    record: SelectionRecord
    heading: str  # the method
    nothing: str  # what follows from it where nothing is held out, else empty
    words: str  # why this method, and what was held out
    scores: Sequence[Line]  # told: selection, test; empty unless there are both
    expected: str  # of new pictures; empty where none were asked about
    start: Sequence[Beginning]
    warnings: Sequence[str]
    alarm: str  # the worst of them; empty where all is well
    distances: Markup | None
    caption: str  # below the distances; without these, how optimistic random folds would be
    way: Markup | None


def choice(
    record: SelectionRecord,
    selection: Scores,
    test: Scores,
    start: Mapping[str, Any] | None,
    metrics: Mapping[str, Metric],
) -> Choice:
    """The section's content.

    Args:
        record: of the stage finetune.
        selection: scores on the pictures that chose; empty where none did.
        test: scores on the test pictures; empty where nobody looked.
        start: scores of what training began from, by `selection` and `test`; `difference`, where
            given, holds the result's minus these, paired, likewise.
        metrics: of the scores' names.
    """
    picture = selection_plots.distances(record, captioned=False)
    below = selection_plots.caption if picture else selection_plots.optimism
    texts = (selection_plots.sentence(text) for text in (record.why, record.words))
    return Choice(
        record,
        HEADINGS[record.method],
        NOTHING if record.method == "none" else "",
        " ".join(text for text in texts if text),
        lines(metrics, [selection, test]) if selection and test else [],
        expected_words(selection),
        _beginnings(start or {}, {"selection": selection, "test": test}, metrics),
        warnings(record),
        KEPT_START if record.ended_as_start else "",
        picture,
        below(record),
        selection_plots.way(record),
    )


def _beginnings(
    start: Mapping[str, Any], result: Mapping[str, Scores], metrics: Mapping[str, Metric]
) -> list[Beginning]:
    """Of the splits that have a result: nobody looks at the rest, here neither."""
    found = []
    differences = start.get("difference") or {}
    for split in (split for split, scores in result.items() if scores):
        before, change = start.get(split) or {}, differences.get(split) or {}
        known = {key: metric for key, metric in metrics.items() if key in before}
        rows = [
            Line(
                metric.label,
                [
                    told(metric, before[key]),
                    told(metric, result[split].get(key)),
                    told(metric, change.get(key), signed=True),
                ],
            )
            for key, metric in known.items()
        ]
        if rows:
            found.append(Beginning(split, rows, bool(change)))
    return found


def warnings(record: SelectionRecord) -> list[str]:
    """A sentence for each attempt that destroyed the network."""
    return [_attempt(attempt) for attempt in record.gone_back]


def _attempt(gone: GoneBack) -> str:
    loss = "no finite number"
    if gone.loss is not None and math.isfinite(gone.loss):
        loss = f"{gone.loss:.3g} nats"
    return (
        f"Attempt {gone.attempt}: at step {number(gone.step)} the loss was {loss}, against "
        f"{gone.start_loss:.3g} nats at the start; learning rates times {number(gone.factor)}."
    )
