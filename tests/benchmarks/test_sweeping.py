from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
import yaml

from benchmarks import sweeping
from benchmarks.sweeping import Bench, Job, composed, grid, sweeps
from graftwork.config.errors import UserError
from graftwork.storage.files import write_json

SHARED = ("model=tiny_cnn",)


def job(transfer: str, seed: int, sweep: str = "task/net", shared: tuple[str, ...] = SHARED) -> Job:
    return Job(sweep, shared, (("transfer", transfer), ("seed", str(seed))))


JOBS = [job(transfer, seed) for transfer in ("from_scratch",) for seed in (0, 1)]


class Pretended:
    """Stands in for the sweep's process: every job finishes but those of some seeds."""

    def __init__(self, failing: tuple[str, ...] = ()) -> None:
        self.failing, self.commands = failing, list[list[str]]()

    def __call__(self, command: list[str], **_: object) -> None:
        self.commands.append(command)
        folder = Path(command[-1].removeprefix("hydra.sweep.dir="))
        values = dict(part.split("=") for part in command[4:-1])
        for number, seed in enumerate(values["seed"].split(",")):
            place = folder / str(number)
            (params,) = composed([job(values["transfer"], int(seed))])
            (place / "model").mkdir(parents=True)
            (place / "params.yaml").write_text(yaml.safe_dump(params))
            status = "failed" if seed in self.failing else "finished"
            write_json(place / "job.json", {"status": status})


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


def test_what_is_finished_is_not_run_again(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    pretended, told = Pretended(failing=("1",)), list[str]()
    monkeypatch.setattr(subprocess, "run", pretended)
    found = bench.run(JOBS, told.append)
    assert found[JOBS[0]] == bench.folder / "task/net/001/0" and found[JOBS[1]] is None
    assert any("failed: model=tiny_cnn transfer=from_scratch seed=1" in line for line in told)
    assert not list(bench.folder.rglob("model"))
    pretended.failing = ()
    found = bench.run(JOBS, told.append)
    assert found[JOBS[0]] == bench.folder / "task/net/001/0"
    assert found[JOBS[1]] == bench.folder / "task/net/002/0"
    assert [line for line in pretended.commands[1] if "seed" in line] == ["seed=1"]
    bench.run(JOBS, told.append)
    assert len(pretended.commands) == 2 and told[-1] == "2 jobs, 2 of them finished earlier"


def test_a_changed_default_is_run_again(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    pretended = Pretended()
    monkeypatch.setattr(subprocess, "run", pretended)
    bench.run(JOBS, lambda _: None)
    path = bench.folder / "task/net/001/1/params.yaml"  # as if it had run before the change
    path.write_text(path.read_text().replace("gradient_clip: 1.0", "gradient_clip: 2.0"))
    found = bench.run(JOBS, lambda _: None)
    assert len(pretended.commands) == 2 and found[JOBS[1]] == bench.folder / "task/net/002/0"


def test_a_wrong_job_is_found_before_any_runs(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    pretended = Pretended()
    monkeypatch.setattr(subprocess, "run", pretended)
    with pytest.raises(UserError, match="no pretrained weights"):
        bench.run([*JOBS, job("lp_ft", 0)], lambda _: None)
    assert not pretended.commands


def test_jobs_of_one_command_are_a_full_grid() -> None:
    every = [job(t, s) for t in ("linear_probe", "lp_ft", "fine_tune") for s in (0, 1)]
    (whole,) = sweeps(every)
    assert grid(whole) == {"transfer": ["linear_probe", "lp_ft", "fine_tune"], "seed": ["0", "1"]}
    parts = list(sweeps([every[0], every[1], every[3], every[5]]))
    assert [grid(part) for part in parts] == [
        {"transfer": ["linear_probe"], "seed": ["0", "1"]},
        {"transfer": ["lp_ft", "fine_tune"], "seed": ["1"]},
    ]
    other = job("lp_ft", 0, "task/other", ("model=vgg19",))
    assert [len(part) for part in sweeps([*every, other])] == [6, 1]


def test_a_folder_shares_data_and_store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sweeping, "PROJECT", tmp_path / "project")
    for _ in range(2):  # also where it was left
        bench = Bench.at(tmp_path / "bench")
    (bench.folder / "store" / "one").touch()
    assert (tmp_path / "project/store/one").is_file()
    assert not (tmp_path / "project/runs").exists()
