"""`graftwork pareto`: the project's own runs, accuracy against cost."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from graftwork.config.errors import UserError, check_choice
from graftwork.pareto.candidates import SELECTION, TEST, candidates, score_of
from graftwork.pareto.comparison import Comparison, comparison
from graftwork.pareto.outputs import as_csv, as_json
from graftwork.pareto.page import page, table
from graftwork.process.terminal import literal
from graftwork.recording.finished_runs import finished_runs


def compared_runs(
    root: Path,
    metric: str,
    costs: Sequence[str],
    data: str | None,
    experiment: str | None,
    condition: str | None,
    on: str,
) -> Comparison:
    """The project's finished runs, compared.

    Args:
        root: the project's folder.
        metric: as metrics.json names it.
        costs: words of axes.py; a comma parts several. The usual ones if empty.
        data: see comparison().
        experiment: see finished_runs().
        condition: see finished_runs().
        on: `selection`, the score that may choose, or `test`.

    Raises:
        UserError: for anything wrong.
    """
    check_choice("--on", on, (SELECTION, TEST))
    runs = finished_runs(root, experiment, condition)
    if not runs:
        where = f"--experiment {experiment}: " if experiment else ""
        narrower = "Loosen --filter" if condition else "Run an experiment to its end"
        raise UserError(f"{where}no finished run. {narrower}, or name another --root.")
    score = score_of(metric, runs, on)
    scored = candidates(runs, metric, on)
    words = [word.strip() for named in costs for word in named.split(",") if word.strip()]
    return comparison(scored, score, words, data, unscored=len(runs) - len(scored))


def show(shown: Comparison, files: dict[str, Path | None], console: Console | None = None) -> None:
    """Prints the frontier, and writes what was asked for.

    Args:
        shown: the comparison.
        files: where to, by kind: html, csv, json.
        console: standard output if None.
    """
    console = console or Console()
    console.print(table(shown, console))
    for sentence in [*shown.sentences(), *shown.cautions()]:
        console.print(literal(sentence))
    for kind, write in (("html", page), ("csv", as_csv), ("json", as_json)):
        path = files.get(kind)
        if path is None:
            continue
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(write(shown), encoding="utf-8")
        except OSError as error:
            raise UserError(f"--{kind}: {path} cannot be written: {error.strerror}.") from error
        console.print(literal(f"written: {path}"), soft_wrap=True)
