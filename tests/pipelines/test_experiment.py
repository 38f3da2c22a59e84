from __future__ import annotations

import csv
import json
import logging
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
import yaml
from mlflow import MlflowClient

from graftwork.config.errors import UserError
from graftwork.data import manifest
from graftwork.experiment import Experiment
from graftwork.storage.artifacts import Artifacts
from graftwork.training.history import write_history
from pipelines import evaluate as stage_of_evaluation
from pipelines import experiment
from pipelines.winners import look_at_tests

PROJECT = Path(__file__).parents[2]
SMALL = ["model=tiny_cnn", "transfer=from_scratch", "trainer=smoke"]


def download(settings: Experiment, artifacts: Artifacts) -> None:
    artifacts.raw("x").mkdir(parents=True, exist_ok=True)
    row = {"path": "p", "label": 0, "class": "a", "split": "train", "width": 1, "height": 1}
    row |= {"group": "", "taken": ""}
    row |= {"sha256": str(settings.dataset.splits.seed), "verdict": "ok"}
    manifest.write(pd.DataFrame([row]), artifacts.manifest)


def finetune(settings: Experiment, artifacts: Artifacts) -> None:
    from graftwork.recording.opening import open_run

    if settings.seed == 13:
        raise UserError("dataset.path: this photo is bad")
    if settings.seed == 14:
        raise RuntimeError("a bug\nin two lines")
    if settings.seed == 15:
        sys.exit(143)
    with open_run(settings, artifacts) as run:
        run.log_metrics({"val/top1": 0.5}, step=0)
    write_history([{"epoch": e, "train/top1": e / 9} for e in (1, 2)], artifacts.history)


def evaluate(settings: Experiment, artifacts: Artifacts) -> None:
    """By the selection score seed 3 is the best; by the test, seed 9."""
    if (
        settings.seed == 4
        and not stage_of_evaluation.leaves_the_test_out(settings)
        and settings.trainer.batch_size == 5
    ):
        raise UserError("the test pictures are gone")
    method = settings.selection.method
    scores = {} if method == "none" else {"top1": interval(0.9 - abs(settings.seed - 3) / 10)}
    looked = {"top1": interval(settings.seed / 10), "macro_f1": {"value": 0.25}}
    result = {
        "selection": {"method": method, "held_out": 9, "fitted": 50, "scores": scores},
        "test": {} if stage_of_evaluation.leaves_the_test_out(settings) else looked,
        "cost": {"parameters": 2_500_000},
    }
    artifacts.metrics.parent.mkdir(exist_ok=True)
    artifacts.metrics.write_text(json.dumps(result))


def interval(value: float) -> dict[str, float]:
    return {"value": value, "low": value - 0.1, "high": value + 0.1, "n": 15}


STAGES = [download, finetune, evaluate]
for stage in STAGES:
    stage.__module__ = f"pipelines.{stage.__name__}"


@pytest.fixture(scope="module")
def empty_store(tmp_path_factory) -> Path:
    """A new database, copied by each test: making one takes a second."""
    from graftwork.recording.mlflow_store import open_store

    artifacts = Artifacts.at(tmp_path_factory.mktemp("store"))
    open_store(None, artifacts)
    return artifacts.mlflow_db


@pytest.fixture
def run(tmp_path, monkeypatch, empty_store):
    """`run(*arguments)`: the command line in an empty project with stand-ins for the stages."""
    monkeypatch.chdir(tmp_path)
    shutil.copy(empty_store, "mlflow.db")
    monkeypatch.setattr(experiment, "stages", lambda: STAGES)
    monkeypatch.setattr("signal.signal", lambda *_: None)
    monkeypatch.setenv("HYDRA_FULL_ERROR", "1")
    monkeypatch.setenv("COLUMNS", "250")
    handlers = logging.root.handlers[:]

    def command(*arguments: str) -> int:
        monkeypatch.setattr(sys, "argv", ["experiment", *arguments])
        try:
            experiment.main()
        except SystemExit as ended:
            return int(ended.code or 0)
        finally:  # Hydra sets up logging for a process that ends after it
            for handler in {*logging.root.handlers} - {*handlers}:
                handler.close()
            logging.root.handlers = handlers[:]
        return 0

    return command


def only(pattern: str) -> Path:
    (found,) = Path.cwd().glob(pattern)
    return found


def table(sweep: Path) -> list[dict[str, str]]:
    return list(csv.DictReader((sweep / "ranking.csv").read_text().splitlines()))


def client() -> MlflowClient:
    return MlflowClient(f"sqlite:///{Path.cwd()}/mlflow.db")


def test_one_experiment_has_a_folder_of_its_own(run):
    assert run(*SMALL, "seed=3") == 0
    job = only("runs/*/*_tiny_cnn_from_scratch")
    params = yaml.safe_load((job / "params.yaml").read_text())
    assert params["seed"] == 3 and "hydra" not in params
    assert Experiment.from_file(job / "params.yaml").seed == 3
    assert {path.stem for path in (job / "costs").iterdir()} == {"download", "finetune", "evaluate"}
    assert (Path.cwd() / "data/raw/x").is_dir() and not (job / "data/raw").exists()  # shared
    found = client().get_run(json.loads((job / "run.json").read_text())["run_id"])
    assert found.info.status == "FINISHED" and found.data.params["model.name"] == "tiny_cnn"
    assert "mlflow.parentRunId" not in found.data.tags


def test_params_are_what_dvc_would_have_written(run, tmp_path):
    from pipelines import params

    run(*SMALL)
    params.write(tmp_path / "dvcs.yaml", SMALL)
    assert only("runs/*/*/params.yaml").read_bytes() == (tmp_path / "dvcs.yaml").read_bytes()


def test_a_sweep_is_ranked_under_a_parent_run(run, capsys):
    assert run("-m", *SMALL, "seed=1,3", "trainer.batch_size=4,8") == 0
    sweep = only("runs/*/*_sweep")
    parent = client().get_run(json.loads((sweep / "run.json").read_text())["run_id"])
    assert parent.info.status == "FINISHED"
    assert parent.data.params == {"seed": "1, 3", "trainer.batch_size": "4, 8"}
    assert {item.path for item in client().list_artifacts(parent.info.run_id)} == {
        "configurations.csv", "ranking.csv", "ranking.html", "curves.svg",
    }  # fmt: skip
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


def test_one_failing_job_leaves_the_others_alone(run, capsys):
    assert run("-m", *SMALL, "seed=13,14,2") == 1
    sweep = only("runs/*/*_sweep")
    rows = table(sweep)
    assert [(row["differs"], row["status"]) for row in rows] == [
        ("seed=2", "finished"), ("seed=13", "failed"), ("seed=14", "failed"),
    ]  # fmt: skip
    assert "this photo is bad" in rows[1]["error"] and rows[2]["error"] == "a bug in two lines"
    assert "failed: dataset.path: this photo is bad" in capsys.readouterr().out
    parent = client().get_run(json.loads((sweep / "run.json").read_text())["run_id"])
    assert parent.info.status == "FAILED"
    runs = client().search_runs([parent.info.experiment_id], order_by=["attributes.start_time"])
    assert sorted(run.info.status for run in runs) == ["FAILED", "FAILED", "FINISHED"]


def parent_status(sweep: Path) -> str:
    return client().get_run(json.loads((sweep / "run.json").read_text())["run_id"]).info.status


def test_a_ranking_that_cannot_be_printed_is_on_disk_all_the_same(run, monkeypatch, capsys):
    def fail(rows, width):
        (sweep,) = Path.cwd().glob("runs/*/*_sweep")
        assert parent_status(sweep) == "FINISHED" and len(table(sweep)) == 2
        raise RuntimeError("no such \x1b[2J character")

    monkeypatch.setattr("pipelines.sweep.table", fail)
    assert run("-m", *SMALL, "seed=1,3") == 0
    sweep = only("runs/*/*_sweep")
    assert len(table(sweep)) == 2 and (sweep / "ranking.html").is_file()
    assert parent_status(sweep) == "FINISHED"
    printed = capsys.readouterr()
    said = printed.out + printed.err
    assert r"could not be shown: no such \x1b[2J character" in said and "\x1b" not in said


def test_a_sweep_that_cannot_be_drawn_has_its_numbers_and_an_end(run, monkeypatch, capsys):
    def fail(*_):
        raise RuntimeError("not to be drawn")

    monkeypatch.setattr("pipelines.sweep.accuracy_against_cost", fail)
    with pytest.raises(RuntimeError, match="not to be drawn"):
        run("-m", *SMALL, "seed=1,3")
    sweep = only("runs/*/*_sweep")
    assert len(table(sweep)) == 2 and parent_status(sweep) == "FAILED"
    assert "Ranking by top-1 on held-out pictures" in capsys.readouterr().out


def test_a_failing_jobs_message_is_no_escape_code(run, monkeypatch, capsys):
    def fail(settings: Experiment, artifacts: Artifacts) -> None:
        raise UserError("class '\x1b]0;owned\x07[/us]'")

    fail.__module__ = "pipelines.finetune"
    monkeypatch.setattr(experiment, "stages", lambda: [fail])
    assert run("-m", *SMALL, "seed=1,3") == 1
    printed = capsys.readouterr()
    said = printed.out + printed.err
    assert "\x1b" not in said and said.count(r"class '\x1b]0;owned\x07[/us]'") == 4


def test_a_killed_sweep_says_so(run):
    assert run("-m", *SMALL, "seed=2,15,3") == 143
    sweep = only("runs/*/*_sweep")
    rows = table(sweep)
    assert [(row["differs"], row["status"]) for row in rows] == [
        ("seed=2", "finished"), ("seed=15", "killed"),
    ]  # fmt: skip
    assert parent_status(sweep) == "KILLED"
    assert rows[0]["test_top1_value"] == ""
    assert "cut short" in (sweep / "ranking.html").read_text()


@pytest.mark.parametrize("project", ["dvc.yaml", "conf", None])
def test_a_folder_that_is_no_project_is_named(run, capsys, project):
    if project:
        Path(project).touch() if "." in project else Path(project).mkdir()
    assert run(*SMALL, "--cfg", "job") == 0
    assert not capsys.readouterr().err
    assert run(*SMALL) == 0
    said = capsys.readouterr().err
    assert said.startswith("" if project else f"Note: {Path.cwd()} is no project")
    assert said.count("is no project") == (project is None)


def test_a_mistake_found_on_the_way_is_one_message(run, capsys):
    Path("dvc.yaml").touch()
    assert run(*SMALL, "seed=13") == 2
    assert capsys.readouterr().err == "graftwork: dataset.path: this photo is bad\n"


def test_a_bug_keeps_its_traceback_and_fails_the_run(run):
    with pytest.raises(RuntimeError, match="a bug"):
        run(*SMALL, "seed=14")
    found = client().get_run(json.loads(only("runs/*/*/run.json").read_text())["run_id"])
    assert found.info.status == "FAILED" and "a bug" in found.data.tags["error"]


def test_a_mistake_leaves_nothing_behind(run, capsys):
    assert run("-m", *SMALL, "seed=1,-1") == 2
    assert "seed: -1" in capsys.readouterr().err and os.listdir() == ["mlflow.db"]


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
sweep.member(artifacts, folder, 7, ["model=tiny_cnn", "seed=9"], work)
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


def test_the_stages_are_those_of_dvc():
    names = [run.__module__.rpartition(".")[2] for run in experiment.stages()]
    assert names == list(yaml.safe_load((PROJECT / "dvc.yaml").read_text())["stages"])


def test_help_and_composition_still_work():
    env = {**os.environ, "PYTHONPATH": str(PROJECT / "src")}
    for arguments, words in ((["--help"], "linear_probe"), (["--cfg", "job", *SMALL], "tiny_cnn")):
        command = [sys.executable, "-m", "pipelines.experiment", *arguments]
        done = subprocess.run(command, cwd=PROJECT, env=env, capture_output=True, text=True)
        assert done.returncode == 0 and words in done.stdout, done.stderr


def test_peak_memory_is_a_jobs_own():
    if not Path("/proc/self/clear_refs").exists():
        pytest.skip("Linux only")
    import resource

    big = bytearray(200 * 2**20)
    big[:] = b"x" * len(big)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    del big
    experiment._forget_peak()
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss < before - 100 * 2**10
