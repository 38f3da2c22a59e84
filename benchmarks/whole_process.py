"""Whole processes: a linear probe against the naive loop, and eight heads against one."""

from __future__ import annotations

import subprocess
import sys
import time

from benchmarks.heads_alone import STRATEGIES
from benchmarks.workplace import Workplace, alternating, ratio, told

PROBE = ("pipelines.experiment", "transfer=linear_probe", "model.input_size=160")
STRENGTHS = "transfer.head_init.strengths=" + ",".join(f"[{10.0**-k}]" for k in range(1, 9))


def probe_against_naive(place: Workplace, repeats: int, epochs: int = 20) -> str:
    """From prepared images to test metrics, cold (nothing frozen yet) and warm, and the naive loop.

    The naive loop of many minutes runs once a round like the others.
    """

    def naive() -> float:
        weights = next(place.artifacts.weights("efficientnet_lite0").glob("*.pth"))
        command = [sys.executable, "-m", "benchmarks.naive", str(place.artifacts.manifest)]
        start = time.perf_counter()
        subprocess.run(
            [*command, str(weights), "--epochs", str(epochs)], check=True, capture_output=True
        )
        return time.perf_counter() - start

    def cold() -> float:
        place.forget()
        return place.run(*PROBE)

    slow, first, again = alternating(repeats, naive, cold, lambda: place.run(*PROBE))
    return (
        f"linear probe at 160 px, whole process, seconds: naive loop of {epochs} epochs "
        f"{told(slow)}, graftwork {told(first)}, with the network stored {told(again)}\n"
        f"  naive / graftwork: {told(ratio(slow, first))}; stored: {told(ratio(slow, again))}"
    )


def every_kind_of_head(place: Workplace, repeats: int) -> str:
    """A sweep of all strategies that train nothing against one of them, both starting cold."""

    def sweep(strategies: str) -> float:
        place.forget()
        return place.run(PROBE[0], "-m", f"transfer={strategies}", *PROBE[2:])

    one, every = alternating(
        repeats, lambda: sweep(STRATEGIES[0]), lambda: sweep(",".join(STRATEGIES))
    )
    return (
        f"heads on one backbone, whole process, seconds: one {told(one)}, all kinds {told(every)}\n"
        f"  all {len(STRATEGIES)} kinds / one: {told(ratio(every, one), 2)}"
    )


def eight_heads(place: Workplace, repeats: int) -> str:
    """A sweep of eight heads on one backbone against a sweep of one, both starting cold."""

    def sweep(strengths: str) -> float:
        place.forget()
        return place.run(PROBE[0], "-m", *PROBE[1:], strengths)

    one, eight = alternating(
        repeats,
        lambda: sweep("transfer.head_init.strengths=[0.001]"),
        lambda: sweep(STRENGTHS),
    )
    return (
        f"heads on one backbone, whole process, seconds: one {told(one)}, eight {told(eight)}\n"
        f"  eight / one: {told(ratio(eight, one), 2)}"
    )
