from __future__ import annotations

from pathlib import Path

import pytest
from finished_jobs import folder_of

from benchmarks import defaults
from benchmarks.defaults import Result, jobs, read
from benchmarks.defaults_page import written
from benchmarks.sweeping import Bench
from benchmarks.tasks import STRATEGIES, TASKS
from benchmarks.verdicts import pairs, verdicts

TUNED = TASKS[0]
HELD_BACK = TASKS[-1]
BETTER = {"linear_probe": 0.80, "lp_ft": 0.83, "fine_tune": 0.81}


def results(task=HELD_BACK, network="vgg19", **top1: float | None) -> list[Result]:
    """Both seeds of every strategy, alike."""
    values = BETTER | top1
    return [
        Result(task, network, strategy, seed, values[strategy], 0.85, 661, None, 0, False, 3.5)
        for strategy in STRATEGIES
        for seed in (0, 1)
    ]


def missed(found: list[Result]) -> list[str]:
    return [f"{verdict.what}: {verdict.found}" for verdict in verdicts(found) if not verdict.met]


def test_a_job_s_folder_is_read(tmp_path: Path) -> None:
    job = jobs(TUNED, "vgg19")[3]
    shares = [(0.0, False), (0.75, True), (1.0, False)]
    place = folder_of(tmp_path, 0.7, 0.8, shares, gone_back=2, ended_as_start=True)
    expected = Result(TUNED, "vgg19", "lp_ft", 1, 0.7, 0.8, 661, 0.75, 2, True, 3.5)
    assert read(TUNED, "vgg19", job, place) == expected
    failed = Result(TUNED, "vgg19", "lp_ft", 1, None, None, 0, None, 0, False, None)
    assert read(TUNED, "vgg19", job, None) == failed


def test_every_bar_is_met() -> None:
    assert missed(results()) == []
    told = [str(verdict) for verdict in verdicts(results())]
    assert "met: jobs that finished: 6 of 6" in told
    assert any("+3.00 (fashion_20, vgg19)" in line for line in told)
    assert any("smallest fine_tune / probe" in line and "1.012" in line for line in told)


def test_one_pair_that_loses_is_named() -> None:
    found = [*results(lp_ft=0.85), *results(network="mobilenetv2", lp_ft=0.789)]
    (line,) = missed(found)
    assert line.startswith("smallest lp_ft - probe of the half held back, at least -1.0 points")
    assert line.endswith("-1.10 (fashion_20, mobilenetv2)")
    assert missed([*results(lp_ft=0.85), *results(network="mobilenetv2", lp_ft=0.791)]) == []


def test_a_small_mean_gain_is_missed() -> None:
    (line,) = missed(results(lp_ft=0.809))
    assert line.startswith("mean lp_ft - probe") and "+0.90 over 1 pairs" in line


def test_the_half_that_was_tuned_on_wins_nothing() -> None:
    found = [*results(TUNED, lp_ft=0.99), *results(lp_ft=0.809)]
    assert [line.split(":")[0] for line in missed(found)] == [
        "mean lp_ft - probe of the half held back, at least +1.0 points"
    ]
    assert len(missed(results(TUNED))) == 2  # nothing of the half held back was measured


@pytest.mark.parametrize("strategy", ["lp_ft", "fine_tune"])
@pytest.mark.parametrize("task", [TUNED, HELD_BACK])
def test_one_destroyed_run_is_missed_wherever_it_is(strategy: str, task: object) -> None:
    found = [*results(), *results(task, network="mobilenetv2", lp_ft=0.9)]
    place = next(
        i for i, r in enumerate(found) if r.network == "mobilenetv2" and r.strategy == strategy
    )
    found[place] = Result(**vars(found[place]) | {"top1": 0.70})
    (line,) = [line for line in missed(found) if "probe of any run" in line]
    assert line.startswith(f"smallest {strategy} / probe")
    assert f"0.875 ({task.name}, mobilenetv2, {strategy}, seed 0)" in line


def test_a_failed_job_is_missed_and_stands_in_the_page() -> None:
    found = results()
    found[2] = Result(**vars(found[2]) | {"top1": None, "seconds": None})
    assert missed(found) == ["jobs that finished: 5 of 6; failed: fashion_20, vgg19, lp_ft, seed 0"]
    assert "83.0 (1 of 2 failed)" in written(found)


def test_the_page_has_every_row_in_its_half() -> None:
    found = [*results(), *results(TUNED, fine_tune=0.5)]
    found[2] = Result(**vars(found[2]) | {"share": 0.5, "gone_back": 1, "ended_as_start": True})
    before, _, tuned = written(found).partition("## The half tuned on")
    own = "| fashion_20 | vgg19 | 48 | 80.0 | 83.0 (1 of 2 kept the start) | 81.0 | +3.0 |"
    assert f"{own} 0.5, – | 1, 0 | +2.0 |" in before
    assert (
        "| groceries_fine | vgg19 | 48 | 80.0 | 83.0 | 50.0 | +3.0 | –, – | 0, 0 | +2.0 |" in tuned
    )
    assert "**missed** | smallest fine_tune / probe" in tuned
    assert "`fashion_20`: Fashion-MNIST, 20 pictures a class; 661 test pictures" in before
    assert "| lp_ft | 3.5 | 3.5 |" in tuned


def test_means_are_over_seeds_that_finished() -> None:
    found = results()
    found[0] = Result(**vars(found[0]) | {"top1": 0.70})
    (pair,) = pairs(found)
    assert pair.top1("linear_probe") == pytest.approx(0.75)
    assert pair.gain == pytest.approx(0.08)


def test_a_part_leaves_the_page_of_the_whole_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    page, told = tmp_path / "docs.md", []
    monkeypatch.setattr(Bench, "at", classmethod(lambda cls, folder: cls(folder)))
    monkeypatch.setattr(defaults, "results", lambda *_: results(lp_ft=0.5))
    assert defaults.defaults(tmp_path, ["fashion_20"], [], page, told.append) == 1
    assert (tmp_path / "docs.md").is_file()  # the folder's own has the same name
    page = tmp_path / "docs" / "docs.md"
    page.parent.mkdir()
    assert defaults.defaults(tmp_path, ["fashion_20"], [], page, told.append) == 1
    assert not page.exists()
    assert defaults.defaults(tmp_path, [], [], page, told.append) == 1 and page.is_file()
    assert any(line.startswith("MISSED: smallest lp_ft / probe") for line in told)
    monkeypatch.setattr(defaults, "results", lambda *_: results())
    assert defaults.defaults(tmp_path, [], [], page, told.append) == 0
