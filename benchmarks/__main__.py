"""`make bench`: the ratios that the README reports. Choose some by name: python -m benchmarks step.

Needs `make repro` (or its download stage) to have run once, except for `rank` and `memory`, which
need no data; takes about 45 minutes in full, of which the naive loop takes most: `--epochs 5`
shortens it. `memory` rewrites the table in docs/memory.md and ends with exit code 1 where a
forecast is far off, `rank` the picture in docs/.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Iterable
from pathlib import Path

from rich.console import Console

from benchmarks.workplace import Workplace

BENCHMARKS = ("extract", "step", "heads", "probe", "memory", "rank")
DOCS = Path(__file__).parents[1] / "docs"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", default=BENCHMARKS, metavar="|".join(BENCHMARKS))
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--epochs", type=int, default=20, help="of the naive loop")
    parser.add_argument("--rounds", type=int, default=12, help="of the latencies of rank")
    options = parser.parse_args()
    if wrong := set(options.names) - set(BENCHMARKS):
        parser.error(f"unknown: {', '.join(sorted(wrong))}. Legal: {', '.join(BENCHMARKS)}.")
    out = Console(soft_wrap=True, highlight=False)
    if "rank" in options.names:
        rank(out, options.rounds)
    others = [name for name in options.names if name != "rank"]
    if not others:
        return
    with tempfile.TemporaryDirectory() as folder:
        for name in others:
            for line in measure(name, Path(folder), options.repeats, options.epochs):
                out.print(line, markup=False)


def rank(out: Console, rounds: int) -> None:
    """Whether MACs rank latency: a table, rho, and the picture in docs/."""
    from benchmarks.rank import NETWORKS, known, measured, sentence, table
    from benchmarks.rank_plot import write

    names = known(NETWORKS)
    rows = measured(names, rounds)
    out.print(table(rows))
    if missing := set(NETWORKS) - set(names):
        out.print(f"not here: {', '.join(sorted(missing))}", markup=False)
    for line in (sentence(rows), *(f"written: {path}" for path in write(rows, DOCS))):
        out.print(line, markup=False)


def measure(name: str, folder: Path, repeats: int, epochs: int) -> Iterable[str]:
    """The lines of one benchmark."""
    if name == "memory":
        from benchmarks.memory import forecast_against_measured

        return forecast_against_measured(folder)
    from benchmarks import throughput, whole_process

    place = Workplace.at(folder)
    if name == "extract":
        return [throughput.extraction_against_engine(place, repeats, s) for s in (160, 224)]
    if name == "step":
        return [throughput.step_against_loop(place, repeats, 160)]
    if name == "heads":
        return [whole_process.eight_heads(place, repeats)]
    return [whole_process.probe_against_naive(place, repeats, epochs)]


if __name__ == "__main__":
    main()
