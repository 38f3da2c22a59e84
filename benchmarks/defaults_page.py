"""docs/defaults.md: a table for each half of the tasks, the verdicts, and what it took."""

from __future__ import annotations

import datetime
import statistics
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from benchmarks.memory import line
from benchmarks.tasks import HELD_BACK, NETWORKS, SEEDS, STRATEGIES, TASKS, TUNED, Task
from benchmarks.verdicts import Pair, pairs, verdicts
from graftwork.models.precision import cpu_multiplies_bf16
from graftwork.process.cores import cores

if TYPE_CHECKING:
    from benchmarks.defaults import Result

NONE = "–"
HEAD = (
    "task", "network", "px", "probe", "lp_ft", "fine_tune", "lp_ft - probe", "share of the way",
    "gone back", "selection - test",
)  # fmt: skip
TOP = f"""\
# Do the defaults hold?

Every strategy with its defaults, on {len(TASKS)} tasks and {len(NETWORKS)} networks with
pretrained weights, seeds {", ".join(map(str, SEEDS))}; of the configuration only data, network and
the size of the pictures are set. Constants of the defaults may be tuned on one half of the tasks.
Whether they hold is judged on the other, which nothing was tuned on.

Top-1 of the test pictures in %, means over seeds. *Share of the way*: how far from the first
weights to the trained ones the kept network of `lp_ft` lies, by seed; held-out training pictures
choose it. *Gone back*: times that training had destroyed the network and began again with smaller
rates, of `lp_ft` and of `fine_tune`, all seeds together. *Selection - test*: by how many points the
score that may choose is too kind to `lp_ft`.
"""


def written(results: Sequence[Result]) -> str:
    """The page.

    Args:
        results: of one run of the benchmark; jobs that failed stand there as failed.
    """
    found = pairs(results)
    parts = [
        TOP,
        *_half("The half held back", HELD_BACK, found),
        *_half("The half tuned on", TUNED, found),
        "## Verdicts\n",
        "\n".join([line(("", "bar", "found")), line(["---"] * 3), *_verdict_lines(results)]) + "\n",
        "## What it took\n",
        _seconds(results),
        _origin(),
    ]
    return "\n".join(parts)


def _half(heading: str, half: str, found: Sequence[Pair]) -> Iterable[str]:
    rows = [line(_cells(pair)) for pair in found if pair.task.half == half]
    named = {pair.task.name: pair for pair in found if pair.task.half == half}
    yield f"## {heading}\n"
    yield "\n".join(_about(pair) for pair in named.values()) + "\n"
    yield "\n".join([line(HEAD), line(["---"] * len(HEAD)), *rows]) + "\n"


def _about(pair: Pair) -> str:
    task: Task = pair.task
    tested = max(result.tested for result in pair.results)
    return f"- `{task.name}`: {task.words}; {tested} test pictures: `{' '.join(task.overrides)}`"


def _cells(pair: Pair) -> list[str]:
    trained = pair.of("lp_ft")
    return [
        pair.task.name,
        pair.network,
        str(pair.task.px(pair.network)),
        *(_top1(pair, strategy) for strategy in STRATEGIES),
        NONE if pair.gain is None else f"{100 * pair.gain:+.1f}",
        ", ".join(NONE if run.share is None else f"{run.share:g}" for run in trained),
        ", ".join(str(sum(r.gone_back for r in pair.of(name))) for name in STRATEGIES[1:]),
        _optimism(trained),
    ]


def _top1(pair: Pair, strategy: str) -> str:
    """Mean over seeds, and what was not as it should be: no row is left out."""
    runs, mean = pair.of(strategy), pair.top1(strategy)
    failed = sum(run.top1 is None for run in runs)
    kept = sum(run.ended_as_start for run in runs)
    notes = [f"{failed} of {len(runs)} failed"] if failed else []
    notes += [f"{kept} of {len(runs)} kept the start"] if kept else []
    told = NONE if mean is None else f"{100 * mean:.1f}"
    return f"{told} ({', '.join(notes)})" if notes else told


def _optimism(runs: Iterable[Result]) -> str:
    gaps = [r.selected - r.top1 for r in runs if r.selected is not None and r.top1 is not None]
    return f"{100 * statistics.fmean(gaps):+.1f}" if gaps else NONE


def _verdict_lines(results: Sequence[Result]) -> Iterable[str]:
    for verdict in verdicts(results):
        yield line(("met" if verdict.met else "**missed**", verdict.what, verdict.found))


def _seconds(results: Sequence[Result]) -> str:
    """Wall clock of a run by strategy; what earlier runs stored (features, networks) is reused."""
    rows = [line(("strategy", "seconds a run, median", "largest")), line(["---"] * 3)]
    for strategy in STRATEGIES:
        spent = [r.seconds for r in results if r.strategy == strategy and r.seconds is not None]
        told = (f"{statistics.median(spent):.1f}", f"{max(spent):.1f}") if spent else (NONE, NONE)
        rows.append(line((strategy, *told)))
    return "\n".join(rows) + "\n"


def machine() -> str:
    """This machine, as far as it decides what a run costs and which arithmetic it does."""
    bf16 = "multiplies bf16 in hardware" if cpu_multiplies_bf16() else "has no bf16 products"
    return f"{cores()} cores, a CPU that {bf16}"


def _origin() -> str:
    day = datetime.date.today().isoformat()
    return (
        f"Features and decoded pictures that an earlier job stored are not computed again. Written "
        f"by `python -m benchmarks defaults` on {day}; {machine()}. What is finished in its folder "
        "(`--folder`) under the same configuration is not run again; `--tasks` and `--networks` "
        "choose a part. It ends with exit code 1 where a bar is missed.\n"
    )
