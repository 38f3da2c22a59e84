from __future__ import annotations

from pathlib import Path

import pytest
from conftest import CONF
from dvc.utils.hydra import compose_and_dump

from graftwork.config.errors import UserError
from graftwork.experiment import Experiment
from pipelines import params


def test_params_yaml_is_byte_for_byte_what_dvc_writes(tmp_path: Path):
    overrides = ["model=tiny_cnn", "transfer=from_scratch", "seed=7"]
    params.write(tmp_path / "ours.yaml", overrides)
    dvcs = tmp_path / "dvcs.yaml"
    compose_and_dump(dvcs, str(CONF), None, "config", str(CONF.parent), overrides)
    assert (tmp_path / "ours.yaml").read_bytes() == dvcs.read_bytes()
    assert "hydra" not in dvcs.read_text().split()
    assert Experiment.from_file(dvcs).seed == 7


def test_a_mistake_leaves_the_file_as_it_was(tmp_path: Path):
    path = tmp_path / "params.yaml"
    path.write_text("as it was")
    for overrides in (["seed=-1"], ["seeed=1"], ["seed=1,2"]):
        with pytest.raises(UserError, match="seed"):
            params.write(path, overrides)
    assert path.read_text() == "as it was"


def test_the_command_writes_here(tmp_path: Path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.argv", ["params", "seed=5"])
    params.main()
    assert Experiment.from_file(tmp_path / "params.yaml").seed == 5
    assert "dvc repro" in capsys.readouterr().out
    monkeypatch.setattr("sys.argv", ["params", "seed=x"])
    with pytest.raises(SystemExit) as ended:
        params.main()
    assert ended.value.code == 2
