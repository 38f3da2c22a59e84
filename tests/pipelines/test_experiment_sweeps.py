from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from stand_in_stages import SMALL, client, interval, only, parent_status, table

from pipelines.winners import look_at_tests

PROJECT = Path(__file__).parents[2]


def test_a_sweep_is_ranked_under_a_parent_run(run, capsys):
    assert run("-m", *SMALL, "seed=1,3", "trainer.batch_size=4,8") == 0
    sweep = only("runs/*/*_sweep")
    parent = client().get_run(json.loads((sweep / "run.json").read_text())["run_id"])
    assert parent.info.status == "FINISHED"
    assert parent.data.params == {"seed": "1, 3", "trainer.batch_size": "4, 8"}
    assert {item.path for item in client().list_artifacts(parent.info.run_id)} == {
        "configurations.csv", "ranking.csv", "ranking.html", "curves.svg",
    }  # fmt: skip
    told = parent.data.metrics
    assert (
        told["selection_top1/trainer.batch_size_4"] == told["selection_top1/trainer.batch_size_8"]
    )
    assert told["seeds/trainer.batch_size_4"] == 2
    assert parent.data.tags["verdict/trainer.batch_size_4"] == "best"
    together = (sweep / "configurations.csv").read_text().splitlines()
    assert [line.partition(",2,")[0] for line in together[1:]] == [
        "trainer.batch_size=4", "trainer.batch_size=8",
    ]  # fmt: skip
    assert "Configurations, seeds taken together" in (sweep / "ranking.html").read_text()
    rows = table(sweep)
    assert [row["differs"] for row in rows] == [
        "seed=3 trainer.batch_size=4",
        "seed=3 trainer.batch_size=8",
        "seed=1 trainer.batch_size=4",
        "seed=1 trainer.batch_size=8",
    ]
    for row in rows:
        child = client().get_run(row["run_id"])
        assert child.data.tags["mlflow.parentRunId"] == parent.info.run_id
        assert child.info.run_name == row["differs"] and row["status"] == "finished"
        assert float(row["seconds"]) > 0 and float(row["peak_mib"]) > 50
    shown = capsys.readouterr().out
    assert "80.0-100.0" in shown and "25.0" in shown and "2.50 M" in shown
    assert rows[0]["run_id"][:8] in shown
    assert "batch_size 8 train" in (sweep / "curves.svg").read_text()


def looked_at(sweep: Path) -> dict[str, str]:
    """Test top-1 by what differs, in the ranking's order."""
    return {row["differs"]: row["test_top1_value"] for row in table(sweep)}


def test_only_the_winners_test_is_looked_at(run, capsys):
    assert run("-m", *SMALL, "seed=9,3,1") == 0
    sweep = only("runs/*/*_sweep")
    assert looked_at(sweep) == {"seed=3": "0.3", "seed=1": "", "seed=9": ""}
    assert json.loads((sweep / "1/reports/metrics.json").read_text())["test"]
    assert capsys.readouterr().out.count("not looked at") == 2
    assert "not looked at" in (sweep / "ranking.html").read_text()


@pytest.mark.parametrize("override", ["evaluation.test_in_sweeps=all", "selection=none"])
def test_every_test_is_looked_at_where_that_is_wanted_or_nothing_chooses(run, capsys, override):
    assert run("-m", *SMALL, "seed=9,3", override) == 0
    rows = table(only("runs/*/*_sweep"))
    ranked = override != "selection=none"
    assert [(row["rank"], row["differs"], row["test_top1_value"]) for row in rows] == (
        [("1", "seed=3", "0.3"), ("2", "seed=9", "0.9")]
        if ranked
        else [("", "seed=9", "0.9"), ("", "seed=3", "0.3")]
    )
    said = " ".join(capsys.readouterr().out.split())
    assert ("Not ranked: no selection score" in said) is not ranked
    assert "the best test score is expected" in said


def test_each_data_set_has_a_ranking_and_a_winner_of_its_own(run):
    assert run("-m", *SMALL, "dataset.splits.seed=0,1", "seed=2,3") == 0
    rows = table(only("runs/*/*_sweep"))
    assert [(row["rank"], row["differs"], row["test_top1_value"]) for row in rows] == [
        ("1", "seed=3 dataset.splits.seed=0", "0.3"), ("2", "seed=2 dataset.splits.seed=0", ""),
        ("1", "seed=3 dataset.splits.seed=1", "0.3"), ("2", "seed=2 dataset.splits.seed=1", ""),
    ]  # fmt: skip
    assert len({row["data"] for row in rows}) == 2


def test_a_winner_whose_test_fails_is_said_to(run, capsys):
    assert run("-m", *SMALL, "trainer.batch_size=5", "seed=4,9") == 1
    sweep = only("runs/*/*_sweep")
    first, second = table(sweep)
    assert (first["rank"], first["status"], first["test_top1_value"]) == ("1", "finished", "")
    assert first["error"] == "its test could not be measured: the test pictures are gone"
    assert second["test_top1_value"] == "" and first["error"] in capsys.readouterr().out
    assert parent_status(sweep) == "FAILED"


HILL = ["-m", *SMALL, "hydra/sweeper=hill"]  # tests/hydra_plugins


@pytest.mark.parametrize(
    ("overrides", "best"),
    [
        (["hydra.sweeper.direction=maximize"], 0.9),
        (["hydra.sweeper.direction=minimize"], 0.1),
        (["selection.direction=minimize"], 0.1),
    ],
)
def test_an_optimiser_finds_the_best_selection_score(run, overrides, best):
    """The test would lead it up to seed 9, and a score the wrong way round away from 3."""
    assert run(*HILL, *overrides) == 0
    assert json.loads(Path("found.json").read_text()) == {"seed": 3, "best": pytest.approx(best)}
    rows = table(only("runs/*/*_sweep"))
    assert [row["test_top1_value"] for row in rows] == ["0.3"] + [""] * (len(rows) - 1)


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        ([], "selection.direction: not given, and Hill does not say"),
        (["selection.direction=up"], "direction: 'up' is unknown"),
        (["hydra.sweeper.direction=maximize", "selection.direction=minimize"], "contradicts"),
        (["hydra.sweeper.direction=maximize", "selection=none"], "'none' gives no selection"),
        (["hydra.sweeper.direction=maximize", "selection.method=auto,none"], "gives no selection"),
        (["selection.direction=maximize,minimize"], "one sweep looks in one direction"),
    ],
)
def test_an_optimiser_that_would_be_misled_is_refused(run, capsys, overrides, message):
    assert run(*HILL, *overrides) == 2
    said = capsys.readouterr().err
    assert message in said and said.count("\n") == 1 and os.listdir() == ["mlflow.db"]


def test_a_job_in_another_process_finds_its_sweep_by_files(run):
    """As joblib and submitit start jobs: nothing of the launching process is in memory."""
    assert run("-m", *SMALL, "seed=1,2") == 0
    sweep = only("runs/*/*_sweep")
    code = """
import sys
from pathlib import Path
from graftwork.storage.artifacts import Artifacts
from pipelines import sweep
folder = Path(sys.argv[1])
artifacts = Artifacts.at(folder / "7")
artifacts.root.mkdir()
def work(artifacts):
    import os
    told = [os.environ["GRAFTWORK_PARENT_RUN"], os.environ["GRAFTWORK_TEST"]]
    (artifacts.root / "told").write_text(" ".join(told))
    artifacts.metrics.parent.mkdir()
    scores = '{"top1": {"value": 0.95, "low": 0.9, "high": 0.99}}'
    artifacts.metrics.write_text('{"selection": {"scores": %s}, "test": {}}' % scores)
sweep.member(artifacts, folder, 7, ["model=tiny_cnn", "seed=9"], "seed: 9", work)
"""
    env = {**os.environ, "PYTHONPATH": os.pathsep.join([str(PROJECT / "src"), str(PROJECT)])}
    subprocess.run([sys.executable, "-c", code, str(sweep)], check=True, env=env, timeout=60)
    parent = json.loads((sweep / "run.json").read_text())["run_id"]
    assert (sweep / "7/told").read_text() == f"{parent} later"
    from pipelines.ranking import jobs

    found = {job.number: job.differs for job in jobs(sweep)}
    assert found == {0: "seed=1", 1: "seed=2", 7: "seed=9"}


def test_the_winner_is_found_by_files_too(run):
    """One that another process left behind, and of which this one knows nothing."""
    assert run("-m", *SMALL, "seed=1,2") == 0
    sweep = only("runs/*/*_sweep")
    shutil.copytree(sweep / "0", sweep / "7")
    scores = {"top1": interval(0.95)}
    metrics = {"selection": {"scores": scores}, "test": {}}
    (sweep / "7/reports/metrics.json").write_text(json.dumps(metrics))
    shutil.copytree(sweep / "7", sweep / "8")  # and one that no score ranks: as without a sweep
    (sweep / "8/reports/metrics.json").write_text('{"test": {}}')
    looked: list[Path] = []
    look_at_tests(sweep, Path.cwd(), lambda artifacts: looked.append(artifacts.root))
    assert looked == [sweep / "7", sweep / "8"]
