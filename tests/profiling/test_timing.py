from __future__ import annotations

import time

import pytest

from graftwork.profiling.timing import BUSY, LEAST, UNDISTURBED, WARM, Times, timed


def test_the_figure_is_that_of_undisturbed_runs() -> None:
    # Of a network of 0.15 ms beside two busy processes: two runs of ten wait for a core.
    disturbed = Times([0.15e-3] * 8 + [4e-3] * 2, elapsed=9.2e-3, on_cpu=9.2e-3)
    assert disturbed.low == pytest.approx(0.15e-3)
    assert disturbed.machine == BUSY
    assert Times([0.15e-3] * 9 + [0.25e-3], 1.6e-3, 1.59e-3).machine == UNDISTURBED


def test_a_thread_without_a_core_was_displaced_however_even_the_runs() -> None:
    assert Times([0.1] * 5, elapsed=0.5, on_cpu=0.3).machine == BUSY
    assert Times([0.1] * 5, elapsed=0.5, on_cpu=0.49).machine == UNDISTURBED
    assert Times([0.1] * 5, elapsed=0.5, on_cpu=None).machine == UNDISTURBED  # waits for a GPU


def test_warm_runs_are_not_timed() -> None:
    runs: list[float] = []
    found = timed(lambda: (runs.append(0), time.sleep(0.001))[1], 1e-9)
    assert len(found.took) == LEAST == len(runs) - WARM
    assert found.elapsed >= sum(found.took) > 0.005
    assert found.machine == BUSY  # asleep is as good as displaced
    assert timed(lambda: time.sleep(0.001), 1e-9, sleeps=True).on_cpu is None
