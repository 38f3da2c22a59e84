"""A sweep: a parent run, a child a job, and in the end a ranking by the selection score.

Jobs and launcher share nothing but files in the sweep's folder, so that they may be other
processes or other machines: `run.json` (the parent run), `sweep.json` (what differs), and a
`job.json` in each job's folder.
"""

from __future__ import annotations

import json
import logging
import os
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout
from rich.console import Console

from graftwork.config.errors import UserError
from graftwork.process.stopping import status_of
from graftwork.process.terminal import visible, visible_lines
from graftwork.recording.opening import NAME, PARENT, open_sweep
from graftwork.recording.tracked_run import Run
from graftwork.reporting import sweep_curves
from graftwork.settings.tracking import Tracking
from graftwork.storage.artifacts import Artifacts
from graftwork.storage.files import write_json
from pipelines import configuration_tables, early_end
from pipelines.configuration_tables import worth_telling
from pipelines.configurations import Configuration, configurations
from pipelines.evaluate import TEST
from pipelines.named_sweep import finished_earlier, swept_with_earlier
from pipelines.ranking import Ranking, jobs, never_begun, rankings, selection_score
from pipelines.ranking_tables import as_csv, as_html, table
from pipelines.shared_sweep import Start
from pipelines.sweep_costs import accuracy_against_cost
from pipelines.winners import Evaluate, look_at_tests

LOCK = ".job.lock"  # in a job's folder: several starts of a sweep share its jobs

log = logging.getLogger(__name__)


@dataclass
class Ended:
    """How a sweep ended; filled in when it has."""

    failures: int = 0  # jobs that did not finish, or whose test could not be measured


@contextmanager
def recorded(
    folder: Path,
    swept: Mapping[str, Sequence[str]],
    tracking: Tracking,
    shared: Path,
    evaluate: Evaluate,
    baselines: Sequence[str] = (),
    *,
    planned: Sequence[Sequence[str]] = (),
) -> Iterator[Ended]:
    """Opens the parent run; afterwards ranks the jobs, records the ranking and prints it.

    Args:
        folder: of the sweep.
        swept: what the jobs differ in.
        tracking: where it is recorded.
        shared: folder of the project.
        evaluate: the stage, for the jobs whose test was left to the sweep's end.
        baselines: strategies that the others are compared with.
        planned: overrides of each job, where all of them are known before.
    """
    folder.mkdir(parents=True, exist_ok=True)
    start, ended = Start(folder), Ended()
    with start.alone:
        swept = swept_with_earlier(folder, swept)
        write_json(folder / "sweep.json", {"swept": swept})
        title = " ".join(f"{key}={','.join(found)}" for key, found in swept.items())
        parent = open_sweep(tracking, Artifacts.at(folder, shared), title or folder.name, swept)
    end = _End(folder, parent, title, swept, baselines, planned, ended)
    try:
        yield ended
    except BaseException as error:
        with start.ended() as others:
            end.reached(others, error)
        raise
    with start.ended() as others:
        end.reached(others, None, lambda: look_at_tests(folder, shared, evaluate))


@dataclass(frozen=True)
class _End:
    """What is done when a sweep's jobs are; fields as in `recorded`."""

    folder: Path
    parent: Run
    title: str
    swept: Mapping[str, Sequence[str]]
    baselines: Sequence[str]
    planned: Sequence[Sequence[str]]
    ended: Ended

    def reached(
        self, others: int, error: BaseException | None, tests: Callable[[], None] = lambda: None
    ) -> None:
        """By the last start of the sweep: tests are looked at, jobs are ranked, the run ends.

        Args:
            others: starts that are still at work.
            error: what ended this one, if anything did.
            tests: looks at those that were left to the end.
        """
        if others:
            self.ended.failures = sum(job.status == "failed" for job in jobs(self.folder))
            log.warning("%d other start(s) are at work: the last to end ranks the jobs.", others)
            return
        found, groups = list[Ranking](), list[list[Configuration]]()
        try:
            with _finished(self.parent, self.ended):
                try:
                    if error is not None:
                        raise error
                    tests()
                finally:
                    found = self._ranked()
                    groups = self._grouped(found)
                    if found:
                        _record(found, groups, self.folder, self.parent, self.title, self.swept)
        finally:  # last: by now no failure to print can lose a file or leave the parent open
            if found:
                _print(found, groups, self.folder)

    def _ranked(self) -> list[Ranking]:
        begun, own = jobs(self.folder), [differing(job, self.swept) for job in self.planned]
        done = [*begun, *never_begun(begun, own, self.folder)]
        found = rankings(done)
        later = {"not begun"} if os.environ.get(early_end.ENDS) else set()
        self.ended.failures = sum(job.went_wrong and job.status not in later for job in done)
        return found

    def _grouped(self, found: Sequence[Ranking]) -> list[list[Configuration]]:
        groups = (configurations(ranking, self.baselines) for ranking in found)
        return [group for group in groups if worth_telling(group)]


@contextmanager
def _finished(parent: Run, ended: Ended) -> Iterator[None]:
    """Ends the parent run, whatever happens: as its jobs did, or as what ended them says."""
    try:
        yield
    except BaseException as error:
        parent.finish(status_of(error))
        raise
    parent.finish("FAILED" if ended.failures else "FINISHED")


def _record(
    found: Sequence[Ranking],
    groups: Sequence[Sequence[Configuration]],
    folder: Path,
    parent: Run,
    title: str,
    swept: Mapping[str, Sequence[str]],
) -> None:
    """Writes ranking and curves, the numbers first: they do not hang on any drawing."""
    (folder / "ranking.csv").write_text(as_csv(found), encoding="utf-8")
    parent.log_artifacts(folder / "ranking.csv")
    for number, group in enumerate(groups):
        path = folder / f"configurations{number or ''}.csv"
        path.write_text(configuration_tables.as_csv(group), encoding="utf-8")
        parent.log_artifacts(path)
        parent.log_metrics(configuration_tables.as_metrics(group))
        parent.set_tags(configuration_tables.as_tags(group))
    confidence = found[0].jobs[0].confidence
    sections = [configuration_tables.section(group, confidence) for group in groups]
    page = as_html(found, title, accuracy_against_cost(found), sections)
    (folder / "ranking.html").write_text(page, encoding="utf-8")
    parent.log_artifacts(folder / "ranking.html")
    if curves := sweep_curves.write(folder, swept):
        parent.log_artifacts(curves)


def _print(
    found: Sequence[Ranking], groups: Sequence[Sequence[Configuration]], folder: Path
) -> None:
    """Shows the rankings. They are on disk: a terminal that cannot show them fails no sweep."""
    try:
        console = Console()
        console.print(table(found, console.width))
        for group in groups:
            console.print(configuration_tables.table(group, console.width))
    except Exception as error:
        reason = visible_lines(error)
        log.warning("%s could not be shown: %s", visible(folder / "ranking.csv"), reason)


def member(
    artifacts: Artifacts,
    folder: Path,
    number: int,
    overrides: Sequence[str],
    params: str,
    work: Callable[[Artifacts], None],
) -> float | None:
    """Does one job of a sweep, unless it was finished earlier with the same parameters. Its failure
    is written down; the other jobs go on.

    Args:
        params: of the job, as YAML; they become its params.yaml.

    Returns:
        The selection score, top-1 of held-out pictures; None if it has none, or the job failed.
    """
    with _claimed(artifacts.root) as mine:
        if not mine:
            what = visible(artifacts.root.name)
            log.warning("job %d (%s): left to another process, which is at it", number, what)
            return None
        if finished_earlier(artifacts, params):  # perhaps by the process that had it until now
            log.info("job %d (%s): finished earlier", number, visible(artifacts.root.name))
            return selection_score(artifacts)
        artifacts.params.write_text(params, encoding="utf-8")
        own = differing(overrides, json.loads((folder / "sweep.json").read_text())["swept"])
        differs = " ".join(own) or "(nothing)"
        facts: dict[str, Any] = {"job": number, "differs": differs, "own": own}
        facts["overrides"] = list(overrides)
        path = artifacts.root / "job.json"
        write_json(path, {**facts, "status": "killed"})  # true until it says otherwise
        parent = json.loads((folder / "run.json").read_text())["run_id"]
        told = {PARENT: parent, NAME: differs, TEST: "later", early_end.SWEEP: str(folder)}
        with environment(told), early_end.in_time(artifacts.root):
            try:
                work(artifacts)
            except (Exception, SystemExit) as error:
                if status_of(error) == "KILLED":
                    if early := early_end.told(artifacts):
                        write_json(path, {**facts, **early})
                        log.info("job %d (%s): %s", number, visible(differs), early["error"])
                        return None
                    raise
                write_json(
                    path, {**facts, "status": "failed", "error": f"{error or type(error).__name__}"}
                )
                mistake = isinstance(error, UserError)
                said = number, visible(differs), visible_lines(error)
                log.error("job %d (%s): %s", *said, exc_info=not mistake)
                return None
        write_json(path, {**facts, "status": "finished"})
        return selection_score(artifacts)


@contextmanager
def _claimed(folder: Path) -> Iterator[bool]:
    """Whether the job of this folder is this process's; within the context no other can have it."""
    lock = FileLock(folder / LOCK)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        yield False
        return
    try:
        yield True
    finally:
        lock.release()


def differing(overrides: Sequence[str], swept: Mapping[str, object]) -> list[str]:
    """The overrides that tell a job from the others, as MLflow orders the names of its runs:
    strategy, network, seed, then all else, the data set last. Sweepers may add their own."""
    chosen = [item for item in overrides if item.partition("=")[0] in swept]
    return sorted(chosen or overrides, key=_place)


def _place(override: str) -> int:
    """Pages cut long names: those of a sweep's jobs must differ early on."""
    group = re.split("[./=@]", override.lstrip("+"))[0]
    first = ("transfer", "model", "seed")
    return first.index(group) if group in first else len(first) + (group == "dataset")


@contextmanager
def environment(values: Mapping[str, str]) -> Iterator[None]:
    """These variables within the context alone."""
    before = {name: os.environ.get(name) for name in values}
    os.environ.update(values)
    try:
        yield
    finally:
        for name, value in before.items():
            os.environ.pop(name) if value is None else os.environ.update({name: value})
