"""What every stage's command does around its `run`: parameters in, errors and costs out."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NoReturn

from graftwork.config.errors import as_mistake
from graftwork.experiment import Experiment
from graftwork.process import distributed, ended
from graftwork.process.one_writer import only_writer
from graftwork.process.parent import end_with_starter
from graftwork.process.preemption import ask_to_be_requeued
from graftwork.process.stopping import CODES, stop_orderly
from graftwork.process.terminal import print_in_any_encoding, visible_lines
from graftwork.recording.costs import Cost
from graftwork.storage import handover
from graftwork.storage.artifacts import Artifacts
from graftwork.storage.files import write_sealed

Run = Callable[[Experiment, Artifacts], None]


def measured(run: Run, experiment: Experiment, artifacts: Artifacts) -> None:
    """Runs a stage on what the earlier ones wrote, and leaves its cost beside the results.

    Raises:
        UserError: another process is running a stage of this experiment, or what an earlier one
            wrote is damaged.
    """
    name = run.__module__.rpartition(".")[2]
    if name == "__main__":
        name = Path(sys.modules["__main__"].__file__ or "stage").stem
    path = artifacts.cost(name)
    path.parent.mkdir(parents=True, exist_ok=True)
    with only_writer(artifacts.root):
        path.unlink(missing_ok=True)  # a stage that does not finish leaves no cost
        start = time.perf_counter()
        handover.check(name, artifacts)
        run(experiment, artifacts)
        wrote = handover.written(name, artifacts)
        cost = Cost.of_process(seconds=time.perf_counter() - start)
        write_sealed(path, {**cost.as_dict(), handover.WROTE: wrote})


def main(
    run: Run,
    check: Callable[[Experiment], None] = lambda experiment: None,
    done: Run = lambda experiment, artifacts: None,
    *,
    goes_on: bool = False,
) -> None:
    """The command line of a stage. Exit code 2 and one message for a user's mistake.

    Args:
        check: what else may be wrong, before the stage begins; see `pipelines.ahead`.
        done: what is left to do when the stage has succeeded, in whatever number of processes.
        goes_on: whether it goes on with a run that an earlier stage has opened, so that a server
            that has gone away since then costs nothing; see `graftwork.recording.outbox`.
    """
    parser = argparse.ArgumentParser(description=run.__doc__)
    parser.add_argument("--root", default=".", help="folder of the experiment (params.yaml)")
    parser.add_argument("--shared", help="folder of raw data, weights and store (default: root)")
    options = parser.parse_args()
    stop_orderly()
    end_with_starter()
    with left_as_asked(), reported():
        artifacts = Artifacts.at(options.root, options.shared)
        experiment = Experiment.from_file(artifacts.params)
        experiment.tracking.check()
        server = experiment.tracking.uri is not None
        if not (distributed.inside() or (goes_on and server)):
            check_recorder(experiment, artifacts)
        check(experiment)
        measured(run, experiment, artifacts)
        if not distributed.inside():
            done(experiment, artifacts)


def check_recorder(experiment: Experiment, artifacts: Artifacts) -> None:
    """Raises UserError where the store of runs is damaged or away: before time is spent."""
    uri = experiment.tracking.uri
    if uri is None and not artifacts.mlflow_db.is_file():
        return
    from graftwork.recording.reachable import check_usable

    check_usable(uri, artifacts)


@contextmanager
def left_as_asked() -> Iterator[None]:
    """Around all of a process: who started it by torchrun learns why it ended."""
    try:
        yield
    except SystemExit as error:
        if error.code in CODES:
            raise SystemExit(ended.exit_code(error.code)) from None
        raise
    except Exception:
        ended.first_to_tell()
        raise


class Told(SystemExit):
    """An end that has been explained."""


class reported:
    """Turns a user's mistake into one message and exit code 2, without a traceback."""

    def __enter__(self) -> None:
        print_in_any_encoding()

    def __exit__(self, kind: type | None, error: BaseException | None, trace: object) -> None:
        if mistake := as_mistake(error) or distributed.as_fault(error):
            _tell(2, str(mistake))
        if isinstance(error, KeyboardInterrupt):
            _tell(130, "interrupted.")
        if type(error) is SystemExit and error.code in CODES:
            if distributed.inside():
                raise Told(error.code) from None  # who started them says it
            ask_to_be_requeued(error.code)
            _tell(error.code, f"stopped by {CODES[error.code]}.")


def _tell(code: int, message: str) -> NoReturn:
    if ended.first_to_tell():  # one message, however many processes
        print(f"graftwork: {visible_lines(message)}", file=sys.stderr)
    raise Told(code) from None
