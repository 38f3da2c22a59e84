"""From recorded runs to what is compared: one score, all costs, a name."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from graftwork.config.errors import UserError, unknown
from graftwork.pareto.axes import TIMED, costs
from graftwork.pareto.frontier import Candidate, Measured
from graftwork.recording.finished_runs import FinishedRun
from graftwork.reporting.run_names import names
from graftwork.selecting.expected import EXPECTED

SELECTION, TEST = "selection", "test"  # what a score is of: held-out pictures, or the test set
COST = "cost/"
DISTURBED = "cost.disturbed"  # tag: "true" where other programs kept the machine busy
DEFINITION = "evaluation.metrics."


@dataclass(frozen=True)
class Score:
    """How a metric's numbers are to be read."""

    name: str  # as in metrics.json
    label: str
    is_share: bool  # in [0, 1], shown in per cent
    higher_is_better: bool
    confidence: float  # of the intervals
    on: str  # SELECTION or TEST

    def shown(self, value: float) -> str:
        """Without its unit, which the label's column or axis bears."""
        return f"{100 * value:.1f}" if self.is_share else f"{value:.3f}"

    @property
    def title(self) -> str:
        """For a column or an axis."""
        pictures = "held out" if self.on == SELECTION else "test"
        return f"{self.label}, {pictures}, %" if self.is_share else f"{self.label}, {pictures}"


def score_of(metric: str, runs: Sequence[FinishedRun], on: str) -> Score:
    """A metric as the newest run that has it defines it.

    Args:
        on: SELECTION or TEST.

    Raises:
        UserError: no run has it.
    """
    having = [run for run in runs if _measured(run, metric, on)]
    if not having:
        recorded = {name.removeprefix(f"{on}/") for run in runs for name in run.metrics}
        legal = {name for name in recorded if not name.endswith(("_low", "_high"))}
        legal = {name for name in legal if "/" not in name}
        if not legal and on == SELECTION:
            raise UserError(
                "--on: no finished run has a selection score (selection.method=none, or recorded "
                "before there was one). Run an experiment that holds pictures out, or compare "
                "test scores: --on test."
            )
        raise unknown("--metric", metric, legal)
    params = max(having, key=lambda run: run.started).params
    try:
        confidence = float(params.get("evaluation.confidence", "0.95"))
    except ValueError:
        confidence = 0.95
    return _defined(metric, params, confidence, on)


def _defined(metric: str, params: dict[str, str], confidence: float, on: str) -> Score:
    from graftwork.config.components import TARGET, build
    from graftwork.metrics.base import Metric

    prefix = f"{DEFINITION}{metric}."
    definition = {k.removeprefix(prefix): v for k, v in params.items() if k.startswith(prefix)}
    try:
        if TARGET not in definition:  # looking for it among all metrics would import torch
            raise UserError(f"{metric}: its definition was not recorded.")
        made = build(definition, Metric, f"{DEFINITION}{metric}")  # type: ignore[type-abstract]
    except UserError:  # of another version, or a package that is not here
        higher = definition.get("higher_is_better", "true") != "false"
        return Score(metric, metric, False, higher, confidence, on)
    return Score(metric, made.label, made.is_share, made.higher_is_better, confidence, on)


def candidates(runs: Sequence[FinishedRun], metric: str, on: str) -> list[Candidate]:
    """The runs that have this score, the newest first.

    Args:
        metric: as metrics.json names it.
        on: SELECTION or TEST.
    """
    having = [run for run in runs if _measured(run, metric, on)]
    having.sort(key=lambda run: -run.started)
    told_apart = names([run.params for run in having], [run.run_id for run in having])
    tests = _test_digests(runs)
    return [
        _candidate(run, metric, on, name, tests)
        for run, name in zip(having, told_apart, strict=True)
    ]


def _test_digests(runs: Sequence[FinishedRun]) -> dict[str, str]:
    """The test set's digest by that of all data, for runs of before both were recorded."""
    both = ("data.digest", "data.test_digest")
    return {run.tags[both[0]]: run.tags[both[1]] for run in runs if {*both} <= {*run.tags}}


def _candidate(
    run: FinishedRun, metric: str, on: str, name: str, tests: dict[str, str]
) -> Candidate:
    everything = run.tags.get("data.digest", "")
    test = run.tags.get("data.test_digest") or tests.get(everything, everything)
    spent = {k.removeprefix(COST): v for k, v in run.metrics.items() if k.startswith(COST)}
    found = _measured(run, metric, on)
    assert found is not None
    return Candidate(
        run_id=run.run_id,
        name=name,
        value=found.value,
        low=found.low,
        high=found.high,
        costs=costs(spent),
        dataset=run.params.get("dataset.name", "unknown data"),
        # Held-out pictures are some of train and val: other data there, and they are others.
        data=everything if on == SELECTION else test,
        started=run.started,
        method=run.tags.get("selection.method", ""),
        test=_measured(run, metric, TEST),
        doubtful=TIMED if run.tags.get(DISTURBED) == "true" else frozenset(),
    )


def _measured(run: FinishedRun, metric: str, on: str) -> Measured | None:
    if on == SELECTION and metric == "top1" and f"{on}/{EXPECTED}" in run.metrics:
        metric = EXPECTED
    value = run.metrics.get(f"{on}/{metric}", math.nan)
    if not math.isfinite(value):
        return None
    low, high = (run.metrics.get(f"{on}/{metric}_{end}") for end in ("low", "high"))
    if on == TEST and low is None:
        return None  # the last point of a curve (trainer.watch_test); evaluation gives intervals
    return Measured(value, low, high)
