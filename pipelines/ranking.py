"""A sweep's jobs, read from their folders, and their order: by the selection score alone."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from graftwork.selecting import expected
from graftwork.selecting.expected import as_chosen
from graftwork.storage.artifacts import Artifacts
from graftwork.storage.files import read_receipt

Scores = Mapping[str, Mapping[str, float]]  # as in metrics.json

SHORT = 8  # characters of a digest
MAX_REASON = 500  # characters
# How a job ends before its end without a fault: others were better, or the time was up.
PRUNED, STOPPED = STATUSES = ("pruned", "stopped")


@dataclass(frozen=True)
class Job:
    """What a job left in its folder."""

    folder: Path
    number: int
    differs: str  # overrides that tell it from the others
    own: tuple[str, ...]  # the same, one by one
    status: str  # finished, failed, killed, not begun, or one of STATUSES
    error: str
    dataset: str
    data: str  # digest of all its pictures; empty: it did not get there
    method: str  # of selection; empty likewise
    held_out: int | None  # pictures that chose
    fitted: int | None  # pictures that the kept model was fitted on
    selection: Scores  # top1 is what may choose
    test: Scores  # empty: not looked at
    confidence: float  # of the intervals
    seconds: float  # of all stages
    peak_mib: float | None
    parameters: int | None
    trained: int | None  # parameters that training moves
    run_id: str

    @property
    def finished(self) -> bool:
        return self.status == "finished"

    @property
    def went_wrong(self) -> bool:
        """One that its sweep had no more use for did not."""
        return bool(self.error) if self.finished else self.status not in STATUSES

    @property
    def score(self) -> float | None:
        """What it is ranked by: top-1 that held-out pictures tell, a share."""
        return self.selection.get("top1", {}).get("value") if self.finished else None


@dataclass(frozen=True)
class Ranking:
    """Jobs on the same data: the best first, then those without a score, then the unfinished."""

    heading: str
    jobs: list[Job]

    @property
    def ranked(self) -> list[Job]:
        return [job for job in self.jobs if job.score is not None]

    def rank(self, job: Job) -> int | None:
        """From 1; None: not ranked."""
        return None if job.score is None else 1 + self.jobs.index(job)


def jobs(folder: Path) -> list[Job]:
    """Every job of a sweep's folder, as it was numbered; where several starts of a sweep have given
    one number twice, they are counted anew."""
    found = (_job(path.parent) for path in folder.rglob("job.json"))
    ordered = sorted(found, key=lambda job: (job.number, str(job.folder)))
    if len({job.number for job in ordered}) == len(ordered):
        return ordered
    return [replace(job, number=number) for number, job in enumerate(ordered)]


def never_begun(begun: Sequence[Job], planned: Iterable[Sequence[str]], folder: Path) -> list[Job]:
    """The planned jobs that no folder tells of: a sweep was ended before their turn came.

    Args:
        planned: what tells each from the others; see `Job.own`.
        folder: of the sweep.
    """
    known = {frozenset(job.own) for job in begun}
    missing = [own for own in planned if frozenset(own) not in known]
    first = 1 + max((job.number for job in begun), default=-1)
    nothing = _job(folder / "never begun")  # where there is nothing to read
    return [
        replace(nothing, number=number, differs=" ".join(own), own=tuple(own), status="not begun")
        for number, own in enumerate(missing, first)
    ]


def rankings(found: Iterable[Job]) -> list[Ranking]:
    """One ranking a data set, that of the first job first.

    Scores on different pictures are not compared. Jobs that did not get to their data stand with
    the others where there is one data set.
    """
    groups: dict[str, list[Job]] = {}
    for job in found:
        groups.setdefault(job.data, []).append(job)
    if len(groups) == 2 and "" in groups:
        lost = groups.pop("")
        next(iter(groups.values())).extend(lost)
    several = len(groups) > 1
    ordered = [sorted(group, key=_place) for group in groups.values()]
    return [Ranking(_heading(group, several=several), group) for group in ordered]


def _place(job: Job) -> tuple[bool, bool, float, float, int]:
    loss = job.selection.get("log_loss", {}).get("value", 0.0)
    return job.score is None, not job.finished, -(job.score or 0.0), loss, job.number


def _heading(group: list[Job], *, several: bool) -> str:
    first = group[0]
    what = "Ranking by top-1 on held-out pictures"
    if first.score is None:
        what = "Not ranked: no selection score"
    if not several:
        return what
    if not first.data:
        return f"{what}; data unknown"
    names = ", ".join(sorted({job.dataset for job in group}))
    return f"{what}; {names}, data {first.data[:SHORT]}"


def _job(folder: Path) -> Job:
    from graftwork.recording.lineage import data_digests

    artifacts = Artifacts.at(folder)
    metrics, told = read(artifacts.metrics), read(folder / "job.json")
    costs = [read(path) for path in sorted(artifacts.cost("any").parent.glob("*.json"))]
    selection = metrics.get("selection") or {}
    return Job(
        folder=folder,
        number=told.get("job", 0),
        differs=told.get("differs", ""),
        own=tuple(told.get("own", ())),
        status=told.get("status", "killed"),
        error=" ".join(told.get("error", "").split())[:MAX_REASON],
        dataset=params_of(artifacts).get("dataset.name", "unknown data"),
        data=data_digests(artifacts.manifest).get("data.digest", ""),
        method=selection.get("method", ""),
        held_out=selection.get("held_out"),
        fitted=selection.get("fitted"),
        selection=as_chosen(selection.get("scores") or {}),
        test=metrics.get("test") or {},
        confidence=metrics.get("confidence", 0.95),
        seconds=sum(cost["seconds"] for cost in costs),
        peak_mib=max((cost["peak_mib"] for cost in costs), default=None),
        parameters=metrics.get("cost", {}).get("parameters"),
        trained=metrics.get("cost", {}).get("trainable_parameters"),
        run_id=read(artifacts.run).get("run_id", ""),
    )


def params_of(artifacts: Artifacts) -> dict[str, str]:
    """A job's parameters, flat; empty where there are none."""
    from graftwork.config.yaml_text import from_yaml
    from graftwork.recording.tracked_params import flat

    if not artifacts.params.is_file():
        return {}
    return flat(from_yaml(artifacts.params.read_text(encoding="utf-8")))


def selection_score(artifacts: Artifacts) -> float | None:
    """See `graftwork.selecting.expected`; None where the experiment has not got there."""
    scores = (read(artifacts.metrics).get("selection") or {}).get("scores") or {}
    return expected.selection_score(scores).get("value")


def read(path: Path) -> dict[str, Any]:
    """A JSON file; empty where there is none, or a damaged one."""
    return read_receipt(path, "Its job is ranked without it.")
