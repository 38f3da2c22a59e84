from __future__ import annotations

import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from benchmarks import studies
from benchmarks.studies import Condition, Found, Study, asked, grid, named_strategies
from benchmarks.studies_page import written
from graftwork.config.errors import UserError
from graftwork.metrics.paired import Estimate
from pipelines.configurations import Configuration, Difference
from pipelines.ranking import Job
from pipelines.ranking import jobs as jobs_of

TINY = Condition("tiny", ("model=tiny_cnn", "dataset=groceries"))
STUDY = Study("few_labels", "A title", "Something.", (TINY,), ("from_scratch",), (0, 1))


def test_what_trains_has_the_budget_and_heads_take_what_they_take() -> None:
    condition = Condition("net", ("model=mobilenetv2", "dataset=groceries"))
    found = grid(
        replace(STUDY, strategies=("linear_probe", "lp_ft"), seeds=(0,)), condition, Path()
    )
    assert [job.own[0] for job in found] == [("transfer", "linear_probe"), ("transfer", "lp_ft")]
    assert "transfer.epochs=12" not in found[0].shared
    assert {"transfer.epochs=12", "transfer.least_steps=0"} < set(found[1].shared)


def test_every_strategy_that_needs_no_other_run_is_in_the_table() -> None:
    names = named_strategies()
    assert {"linear_probe", "fine_tune", "lp_ft", "gradual_unfreeze"} < set(names)
    assert not set(names) & set(studies.ELSEWHERE)


def test_two_hops_start_from_the_first_one_s_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(studies, "composed", lambda jobs: [{"transfer": {"epochs": 12}}])
    study = replace(asked("two_hop"), seeds=(0,))
    (tmp_path / "first/after_cifar10/model").mkdir(parents=True)
    (tmp_path / "first/after_cifar10/model/model.json").touch()
    probe, _, hops = grid(study, study.conditions[0], tmp_path)
    path = f"transfer.start.path={tmp_path}/first/after_cifar10"
    assert path in hops.shared and path not in probe.shared
    studies.hop(study.conditions[0], tmp_path, lambda said: pytest.fail(said))  # it is there


def test_a_first_hop_that_fails_names_its_log(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    failed = subprocess.CompletedProcess([], 2)
    monkeypatch.setattr(subprocess, "run", lambda *_, **__: failed)
    with pytest.raises(UserError, match="after_cifar10 failed; see .*after_cifar10.log"):
        studies.hop(asked("two_hop").conditions[0], tmp_path, lambda said: None)


def test_an_unknown_study_or_condition_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="Did you mean 'mobilenetv2'"):
        studies.study("strategy_table", tmp_path, tmp_path, print, (), ["mobilenet2"])
    with pytest.raises(UserError, match="Did you mean 'few_labels'"):
        asked("few_label")


def configuration(strategy: str, value: float, folder: str) -> Configuration:
    found = Estimate(value, value - 0.02, value + 0.02, 0.01)
    differs = (Difference("linear_probe", found, 0.03, True),) if strategy != "linear_probe" else ()
    return Configuration((f"transfer={strategy}",), (JOB, JOB), found, None, differs)


JOB = Job(
    folder=studies.CONF, number=0, differs="", own=(), status="finished", error="", dataset="",
    data="", method="matched", held_out=9, fitted=9, selection={"top1": {"value": 0.5}}, test={},
    confidence=0.95, seconds=7.0, peak_mib=None, parameters=9, trained=3, run_id="",
)  # fmt: skip


@pytest.mark.parametrize(("amounts", "picture"), [((5, 25), "few_labels.svg"), ((None,), "tiny")])
def test_the_page_has_tables_pictures_and_failures(
    amounts: tuple[int | None, ...], picture: str
) -> None:
    names = ("linear_probe", "lp_ft")
    found = [
        Found(
            replace(TINY, amount=amount),
            [configuration(name, 0.5 + index / 10, name) for index, name in enumerate(names)],
            ["transfer=bad seed=1"],
        )
        for amount in amounts
    ]
    text, pictures = written(STUDY, found)
    assert "Expected, before it was run: Something." in text
    assert (
        "failed: `transfer=bad seed=1`" in text
        and "`python -m benchmarks few_labels --seeds 0 1 --networks tiny" in text
    )
    assert "60.0 (58.0-62.0)" in text and "+60.0" in text
    (name,) = pictures
    assert picture in name and f"({name})" in text and "lp_ft" in pictures[name]


def test_jobs_are_read_with_their_own_overrides(tmp_path: Path) -> None:
    (tmp_path / "job.json").write_text('{"job": 0, "status": "finished", "differs": "all"}')
    (job,) = grid(replace(STUDY, seeds=(3,)), TINY, tmp_path)
    assert studies._read(job, tmp_path).own == ("transfer=from_scratch", "seed=3")
    assert jobs_of(tmp_path)[0].own == ()
