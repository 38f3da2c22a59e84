"""The bars that the default strategies must clear, and whether they do."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.sweeping import Say
from benchmarks.tasks import HELD_BACK, STRATEGIES, Task

if TYPE_CHECKING:
    from benchmarks.defaults import Result

SMALLEST, MEAN = -0.01, 0.01  # lp_ft - probe, of every pair of task and network; on average
RATIO = 0.90  # of any run's accuracy to that of its probe


@dataclass(frozen=True)
class Pair:
    """A task and a network: the top-1 of its jobs, by strategy and seed."""

    task: Task
    network: str
    results: tuple[Result, ...]

    def of(self, strategy: str) -> list[Result]:
        return [result for result in self.results if result.strategy == strategy]

    def top1(self, strategy: str) -> float | None:
        """Mean over the seeds that finished; None where none did."""
        found = [r.top1 for r in self.of(strategy) if r.top1 is not None]
        return statistics.fmean(found) if found else None

    @property
    def gain(self) -> float | None:
        """lp_ft - probe."""
        trained, probe = self.top1("lp_ft"), self.top1("linear_probe")
        return None if trained is None or probe is None else trained - probe

    @property
    def label(self) -> str:
        return f"{self.task.name}, {self.network}"


@dataclass(frozen=True)
class Verdict:
    """One bar: what was found, in words, and whether it is met."""

    what: str
    found: str
    met: bool

    def __str__(self) -> str:
        return f"{'met' if self.met else 'MISSED'}: {self.what}: {self.found}"


def pairs(results: Iterable[Result]) -> list[Pair]:
    """Results by task and network, in the order in which they come."""
    found: dict[tuple[str, str], list[Result]] = {}
    for result in results:
        found.setdefault((result.task.name, result.network), []).append(result)
    return [Pair(rows[0].task, rows[0].network, tuple(rows)) for rows in found.values()]


def verdicts(results: Sequence[Result]) -> list[Verdict]:
    """All bars. What could not be measured does not meet its bar."""
    held_back = [pair for pair in pairs(results) if pair.task.half == HELD_BACK]
    return [
        _all_finished(results),
        *_gains(held_back),
        *(_ratio(results, strategy) for strategy in STRATEGIES[1:]),
    ]


def _all_finished(results: Sequence[Result]) -> Verdict:
    failed = [_named(result) for result in results if result.top1 is None]
    words = f"{len(results) - len(failed)} of {len(results)}"
    return Verdict(
        "jobs that finished", f"{words}; failed: {'; '.join(failed)}" if failed else words,
        bool(results) and not failed,
    )  # fmt: skip


def _gains(held_back: Sequence[Pair]) -> Iterator[Verdict]:
    what = (
        f"smallest lp_ft - probe of the half held back, at least {100 * SMALLEST:+.1f} points",
        f"mean lp_ft - probe of the half held back, at least {100 * MEAN:+.1f} points",
    )
    gains = {pair.label: pair.gain for pair in held_back if pair.gain is not None}
    if not gains:
        yield from (Verdict(words, "nothing was measured", False) for words in what)
        return
    least, mean = min(gains, key=lambda label: gains[label]), statistics.fmean(gains.values())
    yield Verdict(what[0], f"{100 * gains[least]:+.2f} ({least})", gains[least] >= SMALLEST)
    yield Verdict(what[1], f"{100 * mean:+.2f} over {len(gains)} pairs", mean >= MEAN)


def _ratio(results: Sequence[Result], strategy: str) -> Verdict:
    what = f"smallest {strategy} / probe of any run, both halves, at least {RATIO:.2f}"
    ratios = {
        _named(run): run.top1 / probe
        for run in results
        if run.strategy == strategy and run.top1 is not None and (probe := _probe(run, results))
    }
    if not ratios:
        return Verdict(what, "nothing was measured", False)
    least = min(ratios, key=lambda label: ratios[label])
    return Verdict(what, f"{ratios[least]:.3f} ({least})", ratios[least] >= RATIO)


def _probe(run: Result, results: Sequence[Result]) -> float | None:
    """Top-1 of the probe of the same task, network and seed."""
    where = run.task.name, run.network, run.seed
    return next(
        (
            other.top1
            for other in results
            if other.strategy == STRATEGIES[0]
            and (other.task.name, other.network, other.seed) == where
        ),
        None,
    )


def _named(result: Result) -> str:
    return f"{result.task.name}, {result.network}, {result.strategy}, seed {result.seed}"


def published(
    text: str, bars: Sequence[Verdict], folder: Path, page: Path | None, name: str, say: Say
) -> int:
    """Writes a page and says which bars are met.

    Args:
        page: in docs/; None where a part of all was asked for, which would hide rows there.
        name: of the page in the folder, where it always lies.

    Returns:
        The exit code: 1 where a bar is missed.
    """
    for path in (folder / name, *([page] if page else ())):
        path.write_text(text, encoding="utf-8")
        say(f"written: {path}")
    for bar in bars:
        say(str(bar))
    return int(not all(bar.met for bar in bars))
