"""`make bench`: the ratios that the README reports. Choose some by name: python -m benchmarks step.

Needs `make repro` (or its download stage) to have run once, except for `rank` and `memory`, which
need no data; takes about 45 minutes in full, of which the naive loop takes most: `--epochs 5`
shortens it. `memory` ends with exit code 1 where a forecast is far off; `rank` rewrites the picture
in docs/.

More run only where they are named, and take up again what an earlier start left in --folder:
`advise` (hours; docs/advise.md) holds the adviser against exhaustive tables of nine tasks;
`defaults` (more than an hour; docs/defaults.md) runs every strategy with its defaults on nine tasks
and four networks, and ends with exit code 1 where they do not hold; `selection` (docs/selection.md)
compares the score that may choose with the test score. So do the studies of strategies, each with a
page in docs/: `strategy_table`, `few_labels`, `label_fraction`, `two_hop`,
`wise_curve`. `optuna` runs a grid of 26 jobs at 64 px and replays searches on it, to say in what
share of its seconds they know one within a point of the best.

`export` (an hour) exports six networks to every format, and ends with exit code 1 where one of them
in fp32 says something else. `leakage` plants near-duplicates among the photos.

`faults` (docs/faults.md) does to trainings, stages and records what `make chaos` does, and the same
to stock Lightning and MLflow; it needs no data, and takes a quarter of an hour.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Iterable, Sequence
from pathlib import Path

from rich.console import Console

from benchmarks.workplace import Workplace
from graftwork.config.errors import UserError
from graftwork.process.terminal import literal, visible_lines

BENCHMARKS = (
    "extract",
    "evaluate",
    "predict",
    "serve",
    "step",
    "heads",
    "prefix",
    "probe",
    "memory",
    "rank",
)
STUDIES = ("strategy_table", "few_labels", "label_fraction", "two_hop")
KEPT = (
    "advise",
    "defaults",
    "faults",
    "optuna",
    "selection",
    "wise_curve",
    *STUDIES,
)  # in a folder that is kept; only where they are named
ALONE = ("export", "leakage")  # only where they are named
PROJECT = Path(__file__).parents[1]
DOCS = PROJECT / "docs"


def main() -> None:
    options = parsed()
    out = Console(soft_wrap=True, highlight=False)
    if "rank" in options.names:
        rank(out, options.rounds)
    code = max([kept(out, name, options) for name in KEPT if name in options.names], default=0)
    if "export" in options.names:
        code = max(code, exported(out, options.repeats, options.networks))
    if "leakage" in options.names:
        code = max(code, leakage(out))
    others = [name for name in options.names if name not in ("rank", *ALONE, *KEPT)]
    with tempfile.TemporaryDirectory() as folder:
        for name in others:
            for line in measure(name, Path(folder), options.repeats, options.epochs):
                out.print(line, markup=False)
    raise SystemExit(code)


def parsed() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    legal = (*BENCHMARKS, *KEPT, *ALONE)
    parser.add_argument("names", nargs="*", default=BENCHMARKS, metavar="|".join(legal))
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--epochs", type=int, default=20, help="of the naive loop")
    parser.add_argument("--rounds", type=int, default=12, help="of the latencies of rank")
    parser.add_argument("--folder", type=Path, help="of what keeps one")
    parser.add_argument("--seeds", type=int, nargs="+", default=(), help="of a study; likewise")
    parser.add_argument(
        "--tasks", nargs="+", default=(), help="of advise, defaults; docs/ then stays"
    )
    parser.add_argument(
        "--networks",
        nargs="+",
        default=(),
        help="of advise, defaults or export, or conditions of a study; likewise",
    )
    parser.add_argument("--probes-only", action="store_true", help="selection without lp_ft")
    options = parser.parse_args()
    if wrong := set(options.names) - set(legal):
        parser.error(f"unknown: {', '.join(sorted(wrong))}. Legal: {', '.join(legal)}.")
    if options.folder and len(set(options.names) & set(KEPT)) != 1:
        parser.error(f"--folder: belongs to one of {', '.join(KEPT)}. Name one of them.")
    return options


def kept(out: Console, name: str, options: argparse.Namespace) -> int:
    """One of the benchmarks whose folder is kept. Returns the exit code: 2 for a mistake."""
    folder = options.folder or PROJECT / "runs" / f"benchmark_{name}"

    def say(text: str) -> None:
        out.print(visible_lines(text), markup=False)

    try:
        if name == "advise":
            from benchmarks.advise import advise

            return advise(folder, options.tasks, options.networks, DOCS / "advise.md", say)
        if name == "defaults":
            from benchmarks.defaults import defaults

            asked = options.tasks, options.networks
            return defaults(folder, *asked, DOCS / "defaults.md", say)
        if name == "faults":
            from benchmarks.faults import faults

            return faults(folder, DOCS, say)
        if name == "optuna":
            from benchmarks.searching import searching

            return searching(folder, say)
        if name in STUDIES:
            from benchmarks.studies import study

            return study(name, folder, DOCS, say, options.seeds, options.networks)
        if name == "wise_curve":
            from benchmarks.wise_curve import SEEDS, wise_curve

            return wise_curve(folder, DOCS, say, tuple(options.seeds) or SEEDS)
        from benchmarks.selection import selection

        return selection(folder, DOCS / "selection.md", say, probes_only=options.probes_only)
    except UserError as error:
        out.print(literal(error))
        return 2


def exported(out: Console, repeats: int, networks: Sequence[str]) -> int:
    """How true exports are: a table. Returns the exit code: 2 for a mistake."""
    from benchmarks.export import exports

    try:
        return exports(PROJECT, repeats, lambda line: out.print(line, markup=False), networks)
    except UserError as error:
        out.print(literal(error))
        return 2


def leakage(out: Console) -> int:
    """Which planted near-duplicates are seen. Returns the exit code: 2 for a mistake."""
    from benchmarks.leakage import planted

    try:
        for line in planted(PROJECT):
            out.print(line, markup=False)
        return 0
    except UserError as error:
        out.print(literal(error))
        return 2


def rank(out: Console, rounds: int) -> None:
    """Whether MACs rank latency: a table, rho, and the picture in docs/."""
    from benchmarks.rank import NETWORKS, known, measured, sentence, table
    from benchmarks.rank_plot import write

    names = known(NETWORKS)
    rows = measured(names, rounds)
    out.print(table(rows))
    if missing := set(NETWORKS) - set(names):
        out.print(f"not here: {', '.join(sorted(missing))}", markup=False)
    for line in (sentence(rows), f"written: {write(rows, DOCS)}"):
        out.print(line, markup=False)


def measure(name: str, folder: Path, repeats: int, epochs: int) -> Iterable[str]:
    """The lines of one benchmark."""
    if name == "memory":
        from benchmarks.memory import forecast_against_measured

        return forecast_against_measured(folder)
    if name == "predict":
        from benchmarks.predicting import predicting

        try:
            return list(predicting(PROJECT, folder, repeats))
        except UserError as error:  # likewise
            return [str(error)]
    if name == "serve":
        from benchmarks.serve import serving_against_mlflow

        return serving_against_mlflow(PROJECT, folder, repeats)
    if name == "evaluate":
        from benchmarks.evaluation import evaluation_against_engine

        try:
            return [evaluation_against_engine(PROJECT, repeats)]
        except UserError as error:  # only the download stage has run
            return [str(error)]
    from benchmarks import throughput, whole_process

    place = Workplace.at(folder)
    if name == "extract":
        return [throughput.extraction_against_engine(place, repeats, s) for s in (160, 224)]
    if name == "step":
        return [throughput.step_against_loop(place, repeats, 160)]
    if name == "prefix":
        from benchmarks.prefix import NETWORKS, stored_against_live

        pairs = [(model, views) for model in NETWORKS for views in (1, 4)]
        return (stored_against_live(place, repeats, *pair) for pair in pairs)
    if name == "heads":
        from benchmarks.heads_alone import every_head

        return [
            whole_process.eight_heads(place, repeats),
            whole_process.every_kind_of_head(place, repeats),
            *every_head(place, repeats),
        ]
    return [whole_process.probe_against_naive(place, repeats, epochs)]


if __name__ == "__main__":
    main()
