"""At a sweep's end: the test is looked at for the jobs that the selection score puts first."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path

from graftwork.config.errors import UserError
from graftwork.process.stopping import status_of
from graftwork.process.terminal import visible, visible_lines
from graftwork.storage.artifacts import Artifacts
from graftwork.storage.files import write_json
from pipelines.ranking import Job, Ranking, jobs, rankings, read

log = logging.getLogger(__name__)

Evaluate = Callable[[Artifacts], None]


def look_at_tests(folder: Path, shared: Path, evaluate: Evaluate) -> None:
    """Runs the evaluate stage of each ranking's first job, whose test its own process left out.

    What is first, the jobs' files say: they may have run in other processes or on other machines.
    A stage that fails is written down beside the job, whose other results stay.

    Args:
        folder: of the sweep.
        shared: folder of the project.
        evaluate: the stage.
    """
    for ranking in rankings(jobs(folder)):
        for job in waiting(ranking):
            log.info("test of job %d (%s)", job.number, visible(job.differs))
            _look(job, shared, evaluate)


def waiting(ranking: Ranking) -> list[Job]:
    """The first, and whatever no score chooses among, unless their test has been looked at."""
    return [
        job
        for job in ranking.jobs
        if job.finished and not job.test and ranking.rank(job) in (1, None)
    ]


def _look(job: Job, shared: Path, evaluate: Evaluate) -> None:
    try:
        evaluate(Artifacts.at(job.folder, shared))
    except (Exception, SystemExit) as error:
        if status_of(error) == "KILLED":
            raise
        path = job.folder / "job.json"
        reason = f"its test could not be measured: {error or type(error).__name__}"
        write_json(path, {**read(path), "error": reason})
        said = job.number, visible(job.differs), visible_lines(reason)
        log.error("job %d (%s): %s", *said, exc_info=not isinstance(error, UserError))
