"""Accuracy against cost of a sweep's jobs, by the selection score: the pictures of ranking.html."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from graftwork.storage.artifacts import Artifacts
from pipelines.ranking import Job, Ranking, params_of, read

if TYPE_CHECKING:  # drawing is imported where a sweep ends: a job should start at once
    from markupsafe import Markup

    from graftwork.recording.finished_runs import FinishedRun


@dataclass(frozen=True)
class Section:
    """A part of the page, below the rankings."""

    heading: str
    sentences: list[str]
    pictures: list[Markup]
    columns: list[str] = field(default_factory=list)  # of a table; empty: there is none
    rows: list[list[str]] = field(default_factory=list)


def accuracy_against_cost(rankings: Sequence[Ranking]) -> list[Section]:
    """Top-1 of held-out pictures against each cost: a section for each ranking of several jobs."""
    from graftwork.pareto.candidates import SELECTION, candidates, score_of
    from graftwork.pareto.comparison import comparison
    from graftwork.pareto.page import pictures

    found = []
    for ranking in rankings:
        runs = [_run(job) for job in ranking.ranked]
        scored = candidates(runs, "top1", SELECTION)
        if len(scored) > 1 and any(run.costs for run in scored):
            score = score_of("top1", runs, SELECTION)
            one = comparison(scored, score, (), None, unscored=0)
            found.append(Section(one.title, one.sentences(), pictures(one)))
    return found


def _run(job: Job) -> FinishedRun:
    """A job's results under the names that MLflow has for them."""
    from graftwork.profiling.timing import is_disturbed
    from graftwork.recorders.base import joined
    from graftwork.recording.finished_runs import FinishedRun

    artifacts = Artifacts.at(job.folder)
    cost = read(artifacts.metrics).get("cost", {})
    disturbed = str(is_disturbed(cost.get("machine", ""))).lower()
    ends = {"": "value", "_low": "low", "_high": "high"}
    metrics = {
        f"{on}/top1{suffix}": scores["top1"][end]
        for on, scores in (("selection", job.selection), ("test", job.test))
        for suffix, end in ends.items()
        if end in scores.get("top1", {})
    }
    return FinishedRun(
        run_id=job.run_id or job.folder.name,
        started=0,
        params=params_of(artifacts),
        metrics=metrics | dict(joined(cost, "cost")),
        tags={
            "data.digest": job.data,
            "selection.method": job.method,
            "cost.disturbed": disturbed,
        },
    )
