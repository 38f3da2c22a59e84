"""A sweep that is started again: nothing twice, nothing lost, one parent run."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path

import pytest
from filelock import FileLock, Timeout
from stand_in_stages import SMALL, STAGES, client, table

from graftwork.config.errors import UserError
from pipelines import experiment, named_sweep, sweep
from pipelines.named_sweep import arguments_of, job_folder, planned
from pipelines.ranking import jobs
from pipelines.shared_sweep import OPENING, Start

FOLDER = Path("runs/produce")


@pytest.fixture
def worked(monkeypatch) -> list[int]:
    """Seeds of the jobs whose stages were run."""
    seen: list[int] = []

    def first(settings, artifacts):
        seen.append(settings.seed)
        STAGES[0](settings, artifacts)

    first.__module__ = STAGES[0].__module__
    monkeypatch.setattr(experiment, "stages", lambda: [first, *STAGES[1:]])
    return seen


@pytest.fixture
def start(run, worked):
    """`start(seeds)`: the sweep's command line; gives the exit code and what it worked on."""

    def started(seeds: str, *more: str) -> tuple[int, list[int]]:
        worked.clear()
        return run("sweep=produce", *SMALL, f"seed={seeds}", *more), list(worked)

    return started


def own(rows: list[dict[str, str]]) -> dict[str, str]:
    return {row["differs"]: row["status"] for row in rows}


def test_what_is_finished_is_not_run_again_and_what_is_added_is(start):
    assert start("1,3") == (0, [1, 3])
    parent = json.loads((FOLDER / "run.json").read_text())["run_id"]
    before = table(FOLDER)
    assert start("1,3") == (0, [])
    assert table(FOLDER) == before, "the ranking is that of the first start"
    assert start("3,5,1") == (0, [5])
    assert json.loads((FOLDER / "run.json").read_text())["run_id"] == parent
    assert own(table(FOLDER)) == {f"seed={seed}": "finished" for seed in (3, 1, 5)}
    assert len({row["job"] for row in table(FOLDER)}) == 3, "every job has a number of its own"
    children = client().search_runs(["1"], f"tags.`mlflow.parentRunId` = '{parent}'")
    assert len(children) == 3 and client().get_run(parent).info.status == "FINISHED"


def test_the_same_overrides_with_other_parameters_are_run_again(start):
    assert start("1")[1] == [1]
    (path,) = FOLDER.glob("*/params.yaml")
    path.write_text(path.read_text().replace("seed: 1", "seed: 2"))  # as if conf/ were edited
    assert start("1")[1] == [1]
    assert start("1", "trainer.batch_size=4")[1] == [1]


def test_failed_and_cut_jobs_are_repeated_and_the_others_not(start):
    assert start("1,13,2") == (1, [1, 13, 2])
    assert start("1,13,2") == (1, [13])
    code, seen = start("1,15,4")
    assert code == 143 and seen == [15], "a signal ends the sweep, and not the job alone"
    assert own(table(FOLDER)) == {
        "seed=2": "finished", "seed=1": "finished", "seed=13": "failed", "seed=15": "killed",
        "seed=4": "not begun",
    }  # fmt: skip
    assert start("4") == (1, [4]), "the failed ones still count"


def test_a_job_that_another_process_is_at_is_left_to_it(start, caplog):
    assert start("1,2")[0] == 0
    (told,) = (p for p in FOLDER.glob("*/job.json") if json.loads(p.read_text())["job"] == 0)
    folder = told.parent
    told.unlink()
    with FileLock(folder / sweep.LOCK):
        assert start("1,2")[1] == []
    assert start("1,2")[1] == [1]


def test_a_job_that_is_finished_while_it_is_claimed_is_not_run_again(start, monkeypatch):
    assert start("1")[1] == [1]
    seen = []
    real = sweep.finished_earlier

    def under_the_lock(artifacts, params):
        with pytest.raises(Timeout), FileLock(artifacts.root / sweep.LOCK, timeout=0):
            pass
        seen.append(artifacts.root.name)
        return real(artifacts, params)

    monkeypatch.setattr(sweep, "finished_earlier", under_the_lock)
    assert start("1")[1] == [] and len(seen) == 1


def test_the_last_of_several_starts_ranks_and_looks_at_the_test(start, capsys):
    FOLDER.mkdir(parents=True)
    other = Start(FOLDER)
    assert start("1,3") == (0, [1, 3])
    assert not (FOLDER / "ranking.csv").exists() and "1 other start" in capsys.readouterr().out
    parent = json.loads((FOLDER / "run.json").read_text())["run_id"]
    assert client().get_run(parent).info.status == "RUNNING"
    assert not any(job.test for job in jobs(FOLDER)), "the winner may be another's"
    with other.ended() as others:
        assert others == 0
        with pytest.raises(Timeout), FileLock(FOLDER / OPENING, timeout=0):
            pass
    assert start("1,3,2") == (0, [2])
    assert [row["differs"] for row in table(FOLDER)] == ["seed=3", "seed=2", "seed=1"]
    assert [bool(job.test) for job in jobs(FOLDER) if job.differs == "seed=3"] == [True]
    assert client().get_run(parent).info.status == "FINISHED"
    assert not list(FOLDER.glob(".start-*"))


def test_a_start_that_was_killed_is_not_waited_for(tmp_path):
    if (child := os.fork()) == 0:
        Start(tmp_path)
        os.kill(os.getpid(), signal.SIGKILL)
    os.waitpid(child, 0)
    assert len(list(tmp_path.glob(".start-*.lock"))) == 1
    with Start(tmp_path).ended() as others:
        assert others == 0
    assert not list(tmp_path.glob(".start-*"))


@pytest.mark.parametrize("name", ["", "..", "a/b", ".hidden", "a b", "x" * 82, "é"])
def test_names_that_are_no_folders_are_refused(name: str, run, capsys) -> None:
    with pytest.raises(UserError, match="sweep: .* is no name of a folder"):
        arguments_of([f"sweep={name}", "seed=1"])
    assert run(f"sweep={name}", "seed=1") == 2
    assert not Path("runs").exists()


def test_one_name_and_hydras_words_in_its_place() -> None:
    assert arguments_of(["-m", "seed=1"]) == ["-m", "seed=1"]
    assert arguments_of(["sweep=a", "seed=1"])[:3] == ["-m", "seed=1", "hydra.sweep.dir=runs/a"]
    assert arguments_of(["sweep=a", "--multirun"]).count("-m") == 0
    with pytest.raises(UserError, match="sweep: 2 names: a, b"):
        arguments_of(["sweep=a", "sweep=b"])


def test_a_jobs_folder_follows_from_its_overrides_alone() -> None:
    assert job_folder("model=a,seed=1").startswith("model=a_seed=1-")
    names = {job_folder(text) for text in ("seed=1", "seed=2", "seed= 1", "x" * 99, "x" * 98, "")}
    assert len(names) == 6 and all(len(name) < 80 for name in names)
    for hostile in ("../../etc", "a/b", "\x1b[31m", "..", "-rf"):
        name = job_folder(hostile)
        assert "/" not in name and "\x1b" not in name and not name.startswith(".")


def test_one_job_is_a_sweep_too(start):
    assert start("1", "tracking.log_model=false") == (0, [1])  # Hydra hands it over as False
    (row,) = table(FOLDER)
    assert row["status"] == "finished" and "seed=1" in row["differs"]


def test_what_an_earlier_start_swept_may_be_one_value_now(start):
    assert start("1,2") == (0, [1, 2])
    assert start("3", "trainer.batch_size=4,8") == (0, [3, 3])
    assert start("3", "trainer.batch_size=4,16") == (0, [3])
    assert {row["status"] for row in table(FOLDER)} == {"finished"}


def test_a_grid_is_every_combination() -> None:
    assert planned(["c=3"], {}) == []
    assert planned(["c=3", "a=1,2"], {"a": ["1", "2"], "b": ["x"]}) == [
        ["c=3", "a=1", "b=x"], ["c=3", "a=2", "b=x"],
    ]  # fmt: skip


def test_a_cut_job_is_not_taken_for_finished(tmp_path) -> None:
    from graftwork.storage.artifacts import Artifacts

    artifacts = Artifacts.at(tmp_path)
    artifacts.metrics.parent.mkdir()
    artifacts.metrics.write_text("{}")
    artifacts.params.write_text("seed: 1\n")
    told = tmp_path / "job.json"
    for text, finished in (
        ('{"status": "finished"}', True), ('{"status": "killed"}', False), ('{"stat', False),
        ("[]", False),
    ):  # fmt: skip
        told.write_text(text)
        assert named_sweep.finished_earlier(artifacts, "seed:   1") == finished
        assert not named_sweep.finished_earlier(artifacts, "seed: 2")
    told.write_text('{"status": "finished"}')
    artifacts.metrics.write_text("{")
    assert not named_sweep.finished_earlier(artifacts, "seed: 1")
