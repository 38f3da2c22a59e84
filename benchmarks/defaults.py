"""Do the default strategies hold over tasks and networks? docs/defaults.md says how well.

Every pair of task and network is one sweep of strategies and seeds, in a process of its own. What
is finished in the folder, under the configuration as it is today, is not run again; changed code
cannot be seen there: take a new folder.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.sweeping import Bench, Job, Say
from benchmarks.tasks import SEEDS, STRATEGIES, Task, networks, tasks
from graftwork.selecting.expected import selection_score
from graftwork.storage.artifacts import Artifacts


@dataclass(frozen=True)
class Result:
    """One job. None: it failed, or its strategy has no such number."""

    task: Task
    network: str
    strategy: str
    seed: int
    top1: float | None  # of the test pictures
    selected: float | None  # the selection score, by which anybody would have chosen
    tested: int  # pictures
    share: float | None  # of the way from the first weights to the trained ones
    gone_back: int  # times
    ended_as_start: bool
    seconds: float | None  # wall clock, all stages


def jobs(task: Task, network: str) -> list[Job]:
    """Every strategy, every seed."""
    sweep, shared = f"{task.name}/{network}", task.chosen(network)
    return [
        Job(sweep, shared, (("transfer", strategy), ("seed", str(seed))))
        for strategy in STRATEGIES
        for seed in SEEDS
    ]


def read(task: Task, network: str, job: Job, place: Path | None) -> Result:
    """What a job's folder says.

    Args:
        place: None where the job failed.
    """
    strategy, seed = (value for _, value in job.own)
    metrics, selection = _json(place, "metrics"), _json(place, "selection")
    chosen = [point["share"] for point in selection.get("shares") or () if point["chosen"]]
    first = metrics.get("test", {}).get("top1", {})
    spent = metrics.get("cost", {}).get("seconds", {})
    return Result(
        task,
        network,
        strategy,
        int(seed),
        top1=first.get("value"),
        selected=selection_score(metrics.get("selection", {}).get("scores") or {}).get("value"),
        tested=first.get("n", 0),
        share=chosen[0] if chosen else None,
        gone_back=len(selection.get("gone_back") or ()),
        ended_as_start=bool(selection.get("ended_as_start")),
        seconds=sum(spent.values()) if spent else None,
    )


def _json(place: Path | None, what: str) -> dict[str, Any]:
    path: Path | None = getattr(Artifacts.at(place), what) if place else None
    if path is None or not path.is_file():
        return {}
    found: dict[str, Any] = json.loads(path.read_text("utf-8"))
    return found


def results(
    bench: Bench, task_names: Sequence[str], network_names: Sequence[str], say: Say
) -> list[Result]:
    """Runs what is not finished, and reads all.

    Raises:
        UserError: for an unknown name, or a task that is no legal experiment.
    """
    asked = [
        (task, network, job)
        for task in tasks(task_names)
        for network in networks(network_names)
        for job in jobs(task, network)
    ]
    places = bench.run([job for _, _, job in asked], say)
    return [read(task, network, job, places[job]) for task, network, job in asked]


def defaults(
    folder: Path, task_names: Sequence[str], network_names: Sequence[str], page: Path, say: Say
) -> int:
    """Runs, writes the page and says whether every bar is met.

    The page in docs/ is only written where all tasks and networks were asked for: a part of them
    would hide rows. It always lies in the folder.

    Returns:
        The exit code: 1 where a bar is missed, or a job failed.
    """
    from benchmarks.defaults_page import written
    from benchmarks.verdicts import published, verdicts

    bench = Bench.at(folder)
    found = results(bench, task_names, network_names, say)
    whole = None if task_names or network_names else page
    return published(written(found), verdicts(found), bench.folder, whole, page.name, say)
