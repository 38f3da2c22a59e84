from __future__ import annotations

from pathlib import Path

import pytest
from finished_jobs import folder_of

from benchmarks import selection
from benchmarks.selection import (
    Score,
    by_method,
    figures,
    lost_by_choosing,
    probes,
    read,
    trainings,
)
from benchmarks.selection_page import written
from benchmarks.sweeping import Bench

TEST = [0.5, 0.6, 0.7, 0.8, 0.9]


@pytest.fixture(autouse=True)
def few_resamples(monkeypatch: pytest.MonkeyPatch) -> None:
    """Enough for an interval; every one ranks all scores anew."""
    monkeypatch.setattr(selection, "RESAMPLES", 200)


def scores(method: str, chosen: list[float], kind: str = "probe") -> list[Score]:
    pairs = zip(chosen, TEST, strict=True)
    return [Score(f"{kind}/n {i}", method, *pair) for i, pair in enumerate(pairs)]


def test_figures_of_known_scores() -> None:
    found = figures(scores("matched", [0.52, 0.61, 0.70, 0.79, 0.88]))
    assert found.count == 5 and found.rho == pytest.approx(1) and found.low == pytest.approx(1)
    assert found.mean_gap == pytest.approx(0.012) and found.largest_gap == pytest.approx(0.02)
    assert found.bias == pytest.approx(0.0)
    # Spearman by hand, one pair exchanged: 1 - 6 * 2 / (5 * 24)
    found = figures(scores("random", [0.95, 0.97, 0.96, 0.98, 0.99]))
    assert found.rho == pytest.approx(0.9) and found.low < 0.9 <= found.high <= 1
    assert found.bias == pytest.approx(0.27)


def test_scores_that_are_all_alike_rank_nothing() -> None:
    found = figures(scores("random", [1.0] * 5))
    assert found.rho != found.rho and found.low != found.low


def test_a_score_is_read_from_a_job_s_folder(tmp_path: Path) -> None:
    job = probes()[1]
    found = read(job, folder_of(tmp_path, test=0.7, selected=0.75))
    assert found == Score("probe/efficientnet_lite0 96 [1.0e-1]", "grouped", 0.75, 0.7)
    assert found.gap == pytest.approx(0.05)
    assert read(trainings()[2], tmp_path).label == "lp_ft/efficientnet_lite0 2"


def test_the_page_names_every_method_and_every_failure() -> None:
    good, kind = [0.52, 0.61, 0.70, 0.79, 0.88], [0.99, 0.98, 0.97, 0.96, 0.95]
    found = [*scores("matched", good), *scores("random", kind), *scores("matched", good, "lp_ft")]
    text = written(found, ["model=vgg19 seed=2"])
    assert "| probe | `matched` | 5 | 1.2 | 2.0 | +0.0 | 1.00 (1.00 to 1.00) | 0.0 |" in text
    assert "| probe | `random` | 5 | 27.0 | 49.0 | +27.0 | -1.00 (-1.00 to -1.00) | 40.0 |" in text
    assert (
        "| lp_ft | `matched` | 5 |" in text and "| `probe/n 4` | 88.0 | – | 95.0 | 90.0 |" in text
    )
    assert "- failed: `model=vgg19 seed=2`" in text
    assert set(by_method(found, "probe")) == {"matched", "random"}
    assert lost_by_choosing(found[5:10]) == {"random": pytest.approx(0.4)}


def test_a_failed_job_ends_with_exit_code_1(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def run(bench: Bench, jobs: list, say: object) -> dict:
        places = {
            job: folder_of(tmp_path / str(i), 0.1 + i / 99, 0.2) for i, job in enumerate(jobs)
        }
        return places | {jobs[0]: None}

    monkeypatch.setattr(Bench, "at", classmethod(lambda cls, folder: cls(folder)))
    monkeypatch.setattr(Bench, "run", run)
    page = tmp_path / "docs.md"
    folder = tmp_path / "bench"
    folder.mkdir()
    told: list[str] = []
    assert selection.selection(folder, page, told.append, probes_only=True) == 1
    assert (folder / "docs.md").is_file() and not page.exists()
    assert "- failed: `model=efficientnet_lite0 transfer=linear_probe" in told[0]
    assert selection.selection(folder, page, told.append, probes_only=False) == 1
    assert page.is_file()
