"""Several processes by torchrun: one process tree a job, started from the frozen params.yaml.

Lightning's own launcher would run the command line again, and with it a whole Hydra sweep.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import timedelta
from functools import cache
from itertools import count
from typing import TYPE_CHECKING, Any

import psutil

from graftwork.config.errors import UserError
from graftwork.process import ended
from graftwork.process.cores import cores
from graftwork.process.parent import end_with_parent

if TYPE_CHECKING:
    from graftwork.storage.artifacts import Artifacts

TIMEOUT = "GRAFTWORK_GROUP_TIMEOUT"  # environment: seconds, see `timeout`
LATE = (  # words of gloo, NCCL, and the store where processes meet
    "Timed out waiting",
    "Watchdog caught collective operation timeout",
    "wait timeout after",
)
GONE = ("Connection closed by peer", "Connection reset by peer", "Broken pipe")
PATIENCE = 15.0  # seconds for a checkpoint to be written, before what goes on is ended


def inside() -> bool:
    """Whether torchrun started this process."""
    return "TORCHELASTIC_RUN_ID" in os.environ


def rank() -> int:
    """Number of this process among `world_size()`; 0 writes."""
    return int(os.environ["RANK"]) if inside() else 0


def world_size() -> int:
    return int(os.environ["WORLD_SIZE"]) if inside() else 1


def processes_here() -> int:
    """How many of them share this machine."""
    return int(os.environ.get("LOCAL_WORLD_SIZE", 1)) if inside() else 1


def processes_here_of(processes: int) -> int:
    """How many of so many run on this machine: all of them, unless torchrun spans several."""
    return processes_here() if inside() else processes


def timeout() -> timedelta:
    """How long a process waits for another one."""
    return timedelta(seconds=float(os.environ.get(TIMEOUT, 1800)))


def relaunched(
    processes: int, artifacts: Artifacts, module: str, seconds: float | None = None
) -> bool:
    """Runs a stage's module in `processes` processes, if it wants several and is only one yet.

    Args:
        processes: how many the stage wants.
        artifacts: of the experiment; its params.yaml must be the experiment's.
        module: such as `pipelines.finetune`.
        seconds: that one waits for another; None: as torch has it.

    Returns:
        True when all of it has been done by the new processes; False when it is for this process
        to do.

    Raises:
        UserError: the processes failed; their own message has been printed before.
        SystemExit: they were asked to end, with the exit code that goes with it.
    """
    if processes == 1 or inside():
        return False
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone"]
    command += ["--nproc-per-node", str(processes), "-m", module]
    command += ["--root", str(artifacts.root), "--shared", str(artifacts.shared)]
    with ended.told() as told:
        limit = {} if seconds is None else {TIMEOUT: str(seconds)}
        code = _run(command, {**_environment(processes), **limit, **told.environment})
        if told.code:
            raise SystemExit(told.code)
    if code:
        raise UserError(f"trainer.processes: {module} failed in {processes} processes (see above).")
    return True


def _environment(processes: int) -> dict[str, str]:
    paths = [os.getcwd(), *(path for path in sys.path if path)]  # what is importable stays so
    return {
        "OMP_NUM_THREADS": str(max(1, cores() // processes)),  # else torchrun says 1, aloud
        **os.environ,
        "PYTHONPATH": os.pathsep.join(paths),
    }


def _run(command: list[str], environment: dict[str, str]) -> int:
    # In the new process, before it becomes torchrun: it ends its own when it is ended itself.
    return _finished(subprocess.Popen(command, env=environment, preexec_fn=end_with_parent))


def _finished(process: subprocess.Popen[bytes]) -> int:
    """Waits; when this process is asked to end, so are the others, and none is left behind."""
    workers: list[psutil.Process] = []
    try:
        return process.wait()
    except BaseException as error:
        workers = _children(process.pid)
        _pass_on(process, workers, _signal_of(error))
        for end in (process.terminate, process.kill):
            try:
                process.wait(PATIENCE)
                break
            except subprocess.TimeoutExpired:
                end()
        process.wait()
        raise
    finally:
        for worker in workers:  # torchrun may have been ended before it could end them
            with suppress(psutil.NoSuchProcess):
                worker.kill()


def _children(pid: int) -> list[psutil.Process]:
    try:
        return psutil.Process(pid).children()
    except psutil.NoSuchProcess:
        return []


def _pass_on(
    process: subprocess.Popen[bytes], workers: Sequence[psutil.Process], number: int
) -> None:
    """To what torchrun has started: it would itself end with a traceback, and as a failure."""
    for worker in workers:
        with suppress(psutil.NoSuchProcess):
            worker.send_signal(number)
    go_on(workers)
    if not workers:
        process.send_signal(number)


def go_on(processes: Sequence[psutil.Process]) -> None:
    """One that was stopped (Ctrl-Z, SIGSTOP) does not end before it goes on."""
    for process in processes:
        with suppress(psutil.NoSuchProcess, OSError):
            process.resume()


def as_fault(error: BaseException | None) -> UserError | None:
    """What a failed exchange between processes is: another one that is late, or gone; None for
    other errors. Those that were stopped go on, so that whoever started them can end them."""
    if not inside() or not isinstance(error, RuntimeError):
        return None
    words = str(error)
    late = any(each in words for each in LATE)
    if not late and not any(each in words for each in GONE):
        return None
    go_on([each for each in _children(os.getppid()) if each.pid != os.getpid()])
    if late:
        return UserError(
            f"trainer.processes: another process of this stage has not answered for "
            f"{timeout().total_seconds():g} s (trainer.group_timeout): it hangs, or was stopped. "
            "Started again, training goes on from its last checkpoint; where a process may be so "
            "slow, allow more (trainer.group_timeout=3600)."
        )
    return UserError(
        "trainer.processes: another process of this stage has ended. If it says nothing itself, it "
        "was killed, often for want of memory: choose fewer (trainer.processes), or a smaller "
        "trainer.batch_size. Started again, training goes on from its last checkpoint."
    )


def _signal_of(error: BaseException) -> int:
    """What this process was asked by."""
    if isinstance(error, KeyboardInterrupt):
        return signal.SIGINT
    code = error.code if isinstance(error, SystemExit) else None
    return code - 128 if isinstance(code, int) and code > 128 else signal.SIGTERM


@contextmanager
def joined() -> Iterator[None]:
    """A group of all processes for exchanging results on the CPU; nothing where there is one."""
    if world_size() == 1:
        yield
        return
    import torch.distributed as dist

    own = not dist.is_initialized()
    if own:
        # torchrun's store outlives a group: another one of the same name may meet addresses of it.
        public: Any = dist  # in its documentation, and not in its list of names
        found, *numbers = next(public.rendezvous("env://", timeout=timeout()))
        store = public.PrefixStore(f"joined {next(_joins())}", found)
        place = dict(zip(("rank", "world_size"), numbers, strict=True))
        dist.init_process_group("gloo", store=store, timeout=timeout(), **place)
    try:
        yield
    finally:
        if own:
            dist.destroy_process_group()


@cache
def _joins() -> Iterator[int]:
    """How many groups this process has joined: all processes join alike."""
    return count()


def gathered(value: Any) -> list[Any]:
    """Every process's value, by rank, in every process."""
    if world_size() == 1:
        return [value]
    import torch.distributed as dist

    values: list[Any] = [None] * world_size()
    dist.all_gather_object(values, value)
    return values
