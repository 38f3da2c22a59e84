from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import yaml
from tiny_experiment import tiny_experiment

from graftwork.data import manifest
from graftwork.experiment import Experiment
from graftwork.storage.artifacts import Artifacts
from pipelines import prepare

PROJECT = Path(__file__).parents[2]


def test_prepare_runs_on_a_folder_of_photos(tmp_path, tiny_params, capsys):
    artifacts = Artifacts.at(tmp_path / "experiment")
    prepare.run(Experiment.from_params(tiny_params()), artifacts)
    frame = manifest.read(artifacts.manifest)
    counts = {name: len(manifest.of_split(frame, name)) for name in manifest.SPLITS}
    assert counts == {"train": 24, "val": 9, "test": 15}
    assert "48 pictures" in capsys.readouterr().out


def test_the_report_says_what_was_passed_over(tmp_path, tiny_folder, tiny_params, capsys):
    for name in ("train/red/1.jxl", "test/red/2.JXL", "train/a.pdf", "loose.jpg"):
        (tiny_folder / name).touch()
    (tiny_folder / "val/red/gone.jpg").symlink_to(tiny_folder / "nowhere.jpg")
    tiny_experiment(tiny_params(), tmp_path / "experiment")
    printed = " ".join(capsys.readouterr().out.split())
    for finding in (
        "3 files of kinds that are not read: 2 .jxl (convert them to JPEG), 1 .pdf.",
        "1 picture outside of the class folders.",
        "1 link that leads nowhere.",
    ):
        assert f"- {finding}" in printed
    (tiny_folder / "train/a.pdf").unlink()
    tiny_experiment(tiny_params(), tmp_path / "experiment")
    assert "2 files of kinds that are not read: .jxl (convert" in capsys.readouterr().out


def test_prepare_imports_no_torch_and_ends_with_one_message(tmp_path, tiny_folder, tiny_params):
    next((tiny_folder / "train" / "red").glob("*.jpg")).write_bytes(b"")
    params = tiny_params("dataset.unreadable=stop")
    (tmp_path / "params.yaml").write_text(yaml.safe_dump(params))
    code = (
        "import sys; sys.modules['torch'] = None\n"
        "from pipelines import prepare, stage\n"
        "stage.main(prepare.run)"
    )
    env = {**os.environ, "PYTHONPATH": f"{PROJECT / 'src'}{os.pathsep}{PROJECT}"}
    command = [sys.executable, "-c", code, "--root", str(tmp_path)]
    ended = subprocess.run(command, env=env, capture_output=True, text=True)
    assert ended.returncode == 2, ended.stderr
    assert ended.stderr.startswith("graftwork: dataset: 1 of 48 files cannot be read")
    assert "empty file" in ended.stderr and "Traceback" not in ended.stderr
