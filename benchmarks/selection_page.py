"""docs/selection.md: how well each method's score foresees the test score."""

from __future__ import annotations

import datetime
from collections.abc import Iterable, Sequence

from benchmarks.defaults_page import machine
from benchmarks.memory import line
from benchmarks.selection import METHODS, Figures, Score, by_method, lost_by_choosing

HEAD = (
    "what", "selection=", "runs", "mean abs(selection - test)", "largest", "mean selection - test",
    "Spearman's rho, 95 % interval", "lost by choosing",
)  # fmt: skip
TOP = """\
# Does the score that may choose foresee the test score?

Linear probes on the groceries (14 classes): three networks, two to four sizes of pictures,
penalties from too strong to too weak, each with every way of holding pictures out; then `lp_ft`
with its defaults by `matched`, three seeds. Top-1, points. *Lost by choosing*: what the run with
the highest selection score has less on the test pictures than the best of its row. The test
pictures chose nothing here: they only tell how good the choice was.
"""


def written(scores: Sequence[Score], failed: Sequence[str]) -> str:
    """The page.

    Args:
        scores: of the runs that finished.
        failed: overrides of the others.
    """
    rows = [*_rows("probe", scores), *_rows("lp_ft", scores)]
    table = "\n".join([line(HEAD), line(["---"] * len(HEAD)), *rows])
    lost = "".join(f"- failed: `{overrides}`\n" for overrides in failed)
    day = datetime.date.today().isoformat()
    return (
        f"{TOP}\n{table}\n\n{lost}"
        "The interval of rho resamples runs (percentile bootstrap); so few runs of `lp_ft` say "
        "little about ranks, and the interval says so.\n\n"
        f"{_each(scores)}\n"
        f"Written by `python -m benchmarks selection` on {day}; {machine()}.\n"
    )


def _rows(kind: str, scores: Sequence[Score]) -> Iterable[str]:
    lost = lost_by_choosing([score for score in scores if score.label.startswith(f"{kind}/")])
    for method, found in by_method(scores, kind).items():
        cells = _cells(found)
        yield line((kind, f"`{method}`", *cells, f"{100 * lost[method]:.1f}"))


def _cells(found: Figures) -> tuple[str, ...]:
    return (
        str(found.count),
        f"{100 * found.mean_gap:.1f}",
        f"{100 * found.largest_gap:.1f}",
        f"{100 * found.bias:+.1f}",
        f"{found.rho:.2f} ({found.low:.2f} to {found.high:.2f})",
    )


def _each(scores: Sequence[Score]) -> str:
    """Every configuration, by falling test score: the scores of all methods side by side."""
    found: dict[str, dict[str, Score]] = {}
    for score in scores:
        found.setdefault(score.label, {})[score.method] = score
    rows = [
        line((f"`{label}`", *_scores(by), f"{100 * max(s.test for s in by.values()):.1f}"))
        for label, by in sorted(
            found.items(), key=lambda item: -max(s.test for s in item[1].values())
        )
    ]
    head = ("run", *(f"`{method}`" for method in METHODS), "test")
    return "\n".join([line(head), line(["---"] * len(head)), *rows]) + "\n"


def _scores(by: dict[str, Score]) -> list[str]:
    return [f"{100 * by[method].selection:.1f}" if method in by else "–" for method in METHODS]
