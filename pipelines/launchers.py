"""Jobs of a sweep in other processes: what the one that starts them does, and what they do.

Hydra's launchers know nothing of cores, signals and SLURM's queue; a job is an ordinary one, which
finds its sweep by files.
"""

from __future__ import annotations

import gc
import logging
import multiprocessing
import os
import signal
import subprocess
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from importlib.util import find_spec
from pathlib import Path
from types import FrameType
from typing import Any

import psutil
from omegaconf import OmegaConf

from graftwork.config.errors import UserError
from graftwork.process.cores import SHARE, cores
from graftwork.process.parent import end_with_parent
from graftwork.process.preemption import GRACE, ask_to_be_requeued
from graftwork.process.stopping import CODES, SIGNALS, stop_orderly

STARTER = "GRAFTWORK_STARTER"  # environment: the process that starts the jobs
EXTRAS = {"hydra_joblib_launcher": "joblib", "hydra_submitit_launcher": "slurm"}
KEPT = ".submitit"  # folder of a sweep: one for each job of SLURM, by its number

log = logging.getLogger(__name__)


def check(node: Any) -> None:
    """Raises UserError where what a launcher needs is not installed.

    Args:
        node: `hydra.launcher`, as composed.
    """
    package = _package(node)
    if package in EXTRAS and find_spec(f"hydra_plugins.{package}") is None:
        raise UserError(
            f"hydra/launcher: {package.replace('_', '-')} is not installed. "
            f"pip install 'graftwork[{EXTRAS[package]}]'"
        )


def _package(node: Any) -> str:
    return f"{OmegaConf.select(node, '_target_')}..".split(".")[1]


@contextmanager
def quick() -> Iterator[None]:
    """What every process of a sweep does that is to lose no time, and no words."""
    # Imports leave a million objects that live as long as the process: looking through them for
    # garbage every 700 new ones takes a tenth of a short experiment.
    gc.set_threshold(50_000, 20, 20)
    with warnings.catch_warnings():
        # That Hydra checks conf/hydra/launcher by the plugin's own schema is as it should be.
        warnings.filterwarnings("ignore", r"\s*'hydra/launcher/\w+' is validated against")
        yield


@contextmanager
def starting(folder: Path, node: Any) -> Iterator[None]:
    """Around all of a sweep: what its jobs' processes are to find; signals go on to them.

    Args:
        folder: of the sweep.
        node: `hydra.launcher`.

    Raises:
        UserError: one of them was killed.
    """
    os.environ[STARTER] = str(os.getpid())
    package = _package(node)
    if package not in EXTRAS:
        yield
        return
    os.environ["PYTHONPATH"] = os.pathsep.join([os.getcwd(), *filter(None, sys.path)])
    if package == "hydra_submitit_launcher":
        with _queued(folder):
            yield
        return
    if int(node.n_jobs) == 1:  # joblib starts nobody then
        yield
        return
    share = str(_share(int(node.n_jobs)))
    from joblib.externals.loky.process_executor import BrokenProcessPool

    try:
        os.environ.update({SHARE: share, "OMP_NUM_THREADS": share})
        with _passed_on():
            yield
    except BrokenProcessPool as error:
        raise UserError(
            "hydra/launcher: the process of a job was killed, often for want of memory, and the "
            "others were ended. Choose fewer (hydra.launcher.n_jobs); a sweep with a name goes on "
            "where it stopped."
        ) from error


def _share(processes: int) -> int:
    """Cores of each: all of them are used, and none is fought for."""
    known = cores()
    return max(1, known // (processes if processes > 0 else max(1, known + 1 + processes)))


@contextmanager
def _passed_on() -> Iterator[None]:
    """Signals go on to the jobs, which are waited for: joblib would kill them in the midst."""
    before = {number: signal.getsignal(number) for number in SIGNALS}

    def pass_on(number: int, frame: FrameType | None) -> None:
        jobs = [psutil.Process(job.pid) for job in multiprocessing.active_children() if job.pid]
        for job in jobs:
            with suppress(psutil.NoSuchProcess):
                job.send_signal(number)
        psutil.wait_procs(jobs, timeout=GRACE + 2)
        handler = before[signal.Signals(number)]
        if callable(handler):
            handler(number, frame)

    for number, handler in before.items():
        if callable(handler):
            signal.signal(number, pass_on)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def _queued(folder: Path) -> Iterator[None]:
    """SLURM's jobs of this start are cancelled when it is ended: they would go on alone."""
    earlier = _numbers(folder)
    try:
        yield
    except BaseException:
        if jobs := _numbers(folder) - earlier:
            log.warning("SLURM jobs are cancelled: %s", " ".join(sorted(jobs)))
            subprocess.run(["scancel", *sorted(jobs)], check=False)
        raise


def _numbers(folder: Path) -> set[str]:
    return {path.name for path in (folder / KEPT).glob("[0-9]*")}


@contextmanager
def at_work(node: Any) -> Iterator[None]:
    """Around a job: where it has a process of its own, that one heeds signals as any stage does.

    It ends there and then: joblib and submitit would take what ends it for a job's result.

    Args:
        node: `hydra.launcher`.
    """
    if _package(node) not in EXTRAS or os.environ.get(STARTER) == str(os.getpid()):
        yield
        return
    stop_orderly()
    signal.signal(signal.SIGINT, lambda number, _: sys.exit(128 + number))
    if "SLURM_JOB_ID" not in os.environ:
        end_with_parent()
    try:
        with quick():
            yield
    except SystemExit as error:
        if error.code not in CODES:
            raise
        ask_to_be_requeued(error.code)
        logging.shutdown()
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(error.code)
