"""A search: by the selection score, ended early by held-out pictures, going on where it stopped."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from stand_in_stages import SMALL, STAGES, client, parent_status, table

from graftwork.recording.opening import open_run
from pipelines import early_end, experiment, optuna_sweeper, search_study
from pipelines.early_end import judge_of, watched

SEARCH = ["hydra/sweeper=optuna", "hydra.sweeper.space=space.yaml", "hydra.sweeper.trials=6"]
SPACE = """
trainer: [smoke, default]
seed: [1, 2, 3, 4]
trainer.batch_size: {low: 6, high: 7, when: {trainer: default}}
"""


@pytest.fixture
def search(run, monkeypatch):
    """`search(*overrides, cut=n)`: the command line; the n-th training is ended by a signal."""
    Path("space.yaml").write_text(SPACE)
    state = {"begun": 0, "cut": 0}

    def finetune(settings, artifacts):
        state["begun"] += 1
        with open_run(settings, artifacts) as recorded:
            judge = judge_of(artifacts.root)
            assert judge is not None
            tell = watched(lambda row, epoch: None, judge, recorded.set_tags, artifacts.root)
            for epoch in range(4):
                if (state["begun"], epoch) == (state["cut"], 2):
                    sys.exit(143)
                score = 0.9 - abs(settings.seed - 3) / 10 - 0.5 / (1 + epoch)
                tell({"val/top1": score, "test/top1": 1.0 - score}, epoch)

    def end(pid, number):
        sys.exit(128 + number)

    finetune.__module__ = "pipelines.finetune"
    monkeypatch.setattr(experiment, "stages", lambda: [STAGES[0], finetune, STAGES[2]])
    monkeypatch.setattr(early_end.os, "kill", end)
    base = [word for word in SMALL if not word.startswith("trainer=")]

    def started(*overrides: str, cut: int = 0) -> int:
        state.update(begun=0, cut=cut)
        return run("sweep=found", *base, *SEARCH, *overrides)

    return started


def trials(folder: Path) -> list[tuple[object, ...]]:
    study = search_study.opened(folder)
    return [
        (tuple(t.user_attrs.get("overrides", ())), t.state.name, t.value, t.intermediate_values)
        for t in study.get_trials(deepcopy=False)
    ]


FEW = ("+hydra.sweeper.pruner_options.n_startup_trials=1",)


def test_the_best_is_found_and_what_promises_less_is_ended(search):
    assert search(*FEW) == 0
    folder = Path("runs/found")
    rows = table(folder)
    assert rows[0]["differs"].startswith("seed=3") and rows[0]["test_top1_value"] == "0.3"
    assert {row["status"] for row in rows} == {"finished", "pruned"} and len(rows) == 6
    assert parent_status(folder) == "FINISHED"
    for row in rows:
        told = client().get_run(row["run_id"])
        pruned = row["status"] == "pruned"
        assert told.info.status == ("KILLED" if pruned else "FINISHED")
        assert ("pruned" in told.data.tags) is pruned
        if pruned:
            assert "others were better by then" in row["error"]
            assert not row["differs"].startswith("seed=3"), "the best of all was ended"
    done = [t for t in trials(folder) if t[1] != "FAIL"]
    assert all(("batch_size" in " ".join(own)) == ("trainer=default" in own) for own, *_ in done)


def test_a_search_that_was_cut_comes_to_what_it_would_have(search):
    asked = ("hydra.sweeper.pruner=successive_halving", "hydra.sweeper.trials=3")
    assert search(*asked) == 0
    folder, whole = Path("runs/found"), Path("runs/whole")
    folder.rename(whole)
    assert search(*asked, cut=2) == 143
    assert search(*asked) == 0
    assert trials(folder) == trials(whole)
    kept = [[row[key] for key in ("rank", "differs", "status")] for row in table(folder)]
    assert kept == [[row[key] for key in ("rank", "differs", "status")] for row in table(whole)]


def test_a_space_that_is_exhausted_ends_the_search(search, monkeypatch):
    monkeypatch.setattr(optuna_sweeper, "PATIENCE", 8)
    Path("space.yaml").write_text("seed: [1, 2]")
    assert search("trainer=smoke") == 0
    assert sorted(row["differs"] for row in table(Path("runs/found"))) == ["seed=1", "seed=2"]


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (
            ["hydra.sweeper.sampler=tep"],
            "hydra.sweeper.sampler: 'tep' is unknown. Did you mean 'tpe'",
        ),
        (["hydra.sweeper.pruner=medain"], "'medain' is unknown. Did you mean 'median'"),
        (["+hydra.sweeper.pruner_options.x=1"], "pruner_options: MedianPruner"),
        (["hydra.sweeper.trials=0"], "at least 1"),
        (
            ["hydra.sweeper.space=none.yaml"],
            "none.yaml cannot be read (no such file or directory). Name",
        ),
        (["seed=1,2"], "seed is on the command line, too"),
        (["selection=none"], "gives no selection score"),
    ],
)
def test_what_cannot_be_searched_is_refused_before_any_work(search, capsys, overrides, message):
    assert search(*overrides) == 2
    said = capsys.readouterr().err
    assert message in said and said.count("\n") == 1 and not Path("runs").exists()


def test_a_value_that_is_none_is_refused_where_it_counts(search, capsys):
    Path("space.yaml").write_text(SPACE.replace("batch_size", "batchsize"))
    assert search() == 2
    assert (
        "trainer.batchsize: 'batchsize' is unknown. Did you mean 'batch_size'"
        in capsys.readouterr().err
    )
    Path("space.yaml").write_text("transfer: [from_scratch, lp_tf]")
    assert search("trainer=smoke") == 2
    assert "'lp_tf' is unknown. Did you mean 'lp_ft'" in capsys.readouterr().err
