"""Times of one thing that is run again and again, and whether other programs disturbed them."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

LEAST, MOST = 5, 2000  # runs that are timed
WARM = 2  # runs before them: libraries choose and compile their kernels in the first
# The figure: other programs make some runs slower, never one faster. The minimum would be the luck
# of one run; the tenth part is within 2 % of it and of the median where nothing else runs.
LOW = 0.1
# Two cores: a thread that computes, or waits for the other threads by spinning, has 1.00 of the
# time where nothing else runs, 0.52 to 0.69 beside one other busy process, less beside more.
SHARE = 0.9
SPREAD = 1.5  # mean over low: 1.01 to 1.2 where nothing else runs, from 1.6 beside one process

UNDISTURBED = "undisturbed"
BUSY = "busy with other programs: time and energy may be too high"


def is_disturbed(machine: str) -> bool:
    """Whether a report's words say that figures may be too high."""
    return machine == BUSY


@dataclass(frozen=True)
class Times:
    """What the runs took."""

    took: list[float]  # s, each
    elapsed: float  # s, all of them
    on_cpu: float | None  # s in which the thread had a core; None: it may sleep while it waits

    @property
    def low(self) -> float:
        """Seconds of one run where nothing else runs."""
        return float(np.quantile(self.took, LOW))

    @property
    def machine(self) -> str:
        """UNDISTURBED or BUSY, for reports."""
        displaced = self.on_cpu is not None and self.on_cpu < SHARE * self.elapsed
        uneven = float(np.mean(self.took)) > SPREAD * self.low
        return BUSY if displaced or uneven else UNDISTURBED


def timed(run: Callable[[], None], seconds: float, *, sleeps: bool = False) -> Times:
    """Each run after the warm ones, until the time is over.

    Args:
        seconds: about how long.
        sleeps: whether a run may wait without using a core, as for a GPU.
    """
    for _ in range(WARM):
        run()
    took: list[float] = []
    begun, on_cpu = time.perf_counter(), time.thread_time()
    while len(took) < LEAST or (time.perf_counter() < begun + seconds and len(took) < MOST):
        start = time.perf_counter()
        run()
        took.append(time.perf_counter() - start)
    on_cpu = time.thread_time() - on_cpu
    return Times(took, time.perf_counter() - begun, None if sleeps else on_cpu)
