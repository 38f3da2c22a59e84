"""Does the selection score foresee the test score? docs/selection.md says how well, by method.

Linear probes on the groceries, from weak to strong and from small pictures to large ones, each
chosen by every method; then `lp_ft` with its defaults. Two figures a method: how far the selection
score is from the test score, and whether it ranks configurations as the test does.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmarks.sweeping import Bench, Job, Say
from benchmarks.tasks import ASIDE
from graftwork.selecting.expected import selection_score
from graftwork.storage.artifacts import Artifacts

METHODS = ("matched", "grouped", "random")
STRENGTHS = ("[1.0e-1]", "[1.0e-3]", "[1.0e-6]")  # of the probe's penalty: too strong to too weak
SIZES = {  # px
    "efficientnet_lite0": (96, 128, 160, 224),
    "mobilenetv2": (96, 160),
    "vgg19": (64, 96),
}
TRAINED = ("efficientnet_lite0",)  # lp_ft at its own size
SEEDS = (0, 1, 2)
RESAMPLES = 5000


@dataclass(frozen=True)
class Score:
    """One experiment: what would have chosen it, and what it turned out to be."""

    label: str  # the configuration
    method: str  # matched, grouped or random
    selection: float  # top-1
    test: float  # top-1

    @property
    def gap(self) -> float:
        return self.selection - self.test


@dataclass(frozen=True)
class Figures:
    """A method over all its configurations."""

    count: int
    mean_gap: float  # of |selection - test|
    largest_gap: float
    bias: float  # mean of selection - test: positive where the score is too kind
    rho: float  # Spearman's
    low: float  # of its 95 % interval
    high: float


def probes() -> list[Job]:
    """Every probe by every method."""
    return [
        Job(
            f"probe/{network}",
            (f"model={network}", "transfer=linear_probe", *ASIDE),
            (
                ("model.input_size", str(size)),
                ("transfer.head_init.strengths", strength),
                ("selection", method),
            ),
        )
        for network, sizes in SIZES.items()
        for size in sizes
        for strength in STRENGTHS
        for method in METHODS
    ]


def trainings() -> list[Job]:
    """`lp_ft` by `matched`, all seeds."""
    return [
        Job(f"lp_ft/{network}", (f"model={network}", "transfer=lp_ft", "selection=matched", *ASIDE),
            (("seed", str(seed)),))
        for network in TRAINED
        for seed in SEEDS
    ]  # fmt: skip


def read(job: Job, place: Path) -> Score:
    """What a finished job's folder says.

    Raises:
        KeyError: its metrics lack a selection score.
    """
    metrics = json.loads(Artifacts.at(place).metrics.read_text("utf-8"))
    chosen = selection_score(metrics["selection"]["scores"])["value"]
    test = metrics["test"]["top1"]["value"]
    own = dict(job.own)
    method = own.pop("selection", "matched")
    return Score(" ".join((job.sweep, *own.values())), method, chosen, test)


def figures(scores: Sequence[Score]) -> Figures:
    """The two figures of one method; rho's interval resamples configurations.

    Resamples whose scores are all alike rank nothing, and are left out.
    """
    chosen, test = (np.array([getattr(s, key) for s in scores]) for key in ("selection", "test"))
    gaps = chosen - test
    low, high = _interval(chosen, test)
    return Figures(
        len(scores),
        float(np.abs(gaps).mean()),
        float(np.abs(gaps).max()),
        float(gaps.mean()),
        _rho(chosen, test),
        low,
        high,
    )


def _interval(left: np.ndarray, right: np.ndarray) -> tuple[float, float]:
    """95 %, by percentiles of a bootstrap over pairs."""
    rng = np.random.default_rng(0)
    drawn = (rng.integers(0, len(left), len(left)) for _ in range(RESAMPLES))
    found = [_rho(left[rows], right[rows]) for rows in drawn]
    known = [rho for rho in found if rho == rho]
    if not known:
        return float("nan"), float("nan")
    low, high = np.percentile(known, [2.5, 97.5])
    return float(low), float(high)


def _rho(left: np.ndarray, right: np.ndarray) -> float:
    """Spearman's; NaN where all values of a side are the same."""
    from scipy.stats import rankdata

    ranks = rankdata(left), rankdata(right)
    if min(np.ptp(side) for side in ranks) == 0:
        return float("nan")
    return float(np.corrcoef(*ranks)[0, 1])


def selection(folder: Path, page: Path, say: Say, *, probes_only: bool) -> int:
    """Runs what is not finished, prints both tables and writes the page.

    Args:
        probes_only: leaves out `lp_ft`, a quarter of an hour; the page in docs/ then stays.

    Returns:
        The exit code: 1 where a job failed.
    """
    from benchmarks.selection_page import written

    bench = Bench.at(folder)
    jobs = [*probes(), *([] if probes_only else trainings())]
    found = bench.run(jobs, say)
    scores = [read(job, place) for job, place in found.items() if place]
    failed = [" ".join(job.overrides) for job, place in found.items() if place is None]
    text = written(scores, failed)
    say(text)
    for path in (bench.folder / page.name, *([] if probes_only else [page])):
        path.write_text(text, encoding="utf-8")
        say(f"written: {path}")
    return int(bool(failed))


def by_method(scores: Sequence[Score], kind: str) -> dict[str, Figures]:
    """Figures of each method over the configurations of `probe` or `lp_ft`."""
    chosen = [score for score in scores if score.label.startswith(f"{kind}/")]
    return {
        method: figures(found)
        for method in METHODS
        if len(found := [score for score in chosen if score.method == method]) > 1
    }


def lost_by_choosing(scores: Sequence[Score]) -> dict[str, float]:
    """Test top-1 that choosing by each method's best score loses against the best test score."""
    lost = {}
    for method in METHODS:
        if found := [score for score in scores if score.method == method]:
            best = max(found, key=lambda score: score.selection)
            lost[method] = max(score.test for score in found) - best.test
    return lost
