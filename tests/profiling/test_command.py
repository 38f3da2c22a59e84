"""`graftwork profile`, from the command line to the files."""

from __future__ import annotations

import csv
import json
import sys

import pytest
from conftest import CONF

from graftwork.cli import commands as cli
from graftwork.profiling import measuring
from graftwork.profiling.chosen import model_of


def profile(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int:
    monkeypatch.chdir(CONF.parent)
    monkeypatch.setenv("COLUMNS", "120")
    monkeypatch.setattr(sys, "argv", ["graftwork", "profile", *arguments])
    with pytest.raises(SystemExit) as stop:
        cli.main()
    return stop.value.code


def test_several_models_at_once(monkeypatch, tmp_path, capsys):
    files = {kind: tmp_path / f"profile.{kind}" for kind in ("json", "csv", "html")}
    code = profile(
        monkeypatch,
        *("mobilenetv2", "resnet18", "tiny_cnn", "--classes", "14", "--batch", "8"),
        *("--transfer", "linear_probe", "--precision", "fp32", "--size", "96", "--no-layers"),
        *(part for kind, file in files.items() for part in (f"--{kind}", str(file))),
    )
    assert code == 0
    shown = capsys.readouterr().out
    for words in ("mobilenetv2", "linear_probe", "batch of 8", "fp32", "layer4", "71.9"):
        assert words in shown, words
    read = json.loads(files["json"].read_text())
    assert [one["profile"]["input"] for one in read] == [[3, 96, 96]] * 3
    assert [one["trainable_parameters"] for one in read] == [
        (width + 1) * 14 for width in (1280, 512, 64)
    ]
    for one in read:
        memory = one["training_memory"]
        assert memory["parameters"] >= 4 * one["profile"]["parameters"]
        assert memory["total"] >= max(size for use, size in memory.items() if use != "total")
    with files["csv"].open(newline="") as file:
        assert [row["model"] for row in csv.DictReader(file)] == [
            "mobilenetv2", "resnet18", "tiny_cnn",
        ]  # fmt: skip
    assert "resnet18" in files["html"].read_text()


def test_a_network_without_weights_is_trained_from_scratch(monkeypatch, tmp_path):
    file = tmp_path / "profile.json"
    assert profile(monkeypatch, "tiny_cnn", "--json", str(file), "--set", "model.pooling=max") == 0
    (one,) = json.loads(file.read_text())
    assert one["transfer"] == "from_scratch"
    assert one["trainable_parameters"] == one["profile"]["parameters"]


def test_overrides_reach_strategy_and_trainer(monkeypatch, tmp_path):
    file = tmp_path / "profile.json"
    overrides = ("model.options.depth=20", "transfer/trainable=head_only", "trainer.batch_size=4")
    sets = [part for override in overrides for part in ("--set", override)]
    assert profile(monkeypatch, "cifar_resnet", "--json", str(file), *sets) == 0
    (one,) = json.loads(file.read_text())
    assert (one["transfer"], one["batch_size"]) == ("from_scratch", 4)
    assert one["trainable_parameters"] == (64 + 1) * 1000


@pytest.mark.parametrize("how", [("--set", "transfer=fine_tune"), ("--transfer", "fine_tune")])
def test_a_strategy_by_either_option(how, monkeypatch, tmp_path):
    file = tmp_path / "profile.json"
    parts = ("--set", "transfer/trainable=from_group", "--set", "transfer.trainable.first=2")
    assert profile(monkeypatch, "tiny_cnn", "--json", str(file), *how, *parts) == 0
    (one,) = json.loads(file.read_text())
    assert one["transfer"] == "fine_tune"
    assert 0 < one["trainable_parameters"] < one["profile"]["parameters"]


def test_published_figures_stand_beside_its_own(monkeypatch, capsys):
    assert profile(monkeypatch, "alexnet", "--size", "227") == 0
    shown = capsys.readouterr().out
    assert "conv4 of AlexNet, MAC: 145 M; here 149.5 M" in shown
    assert "features.conv4.conv" in shown and "384x13x13" in shown


@pytest.mark.parametrize("word", ["googlenet", "alexnet", "tiny_cnn"])
def test_measuring_starts_on_a_tiny_network_whatever_the_model(word):
    """Libraries load once before anything counts; a model's own settings would not fit that."""
    tiny = measuring._tiny(model_of(word, conf=CONF)).build(2, None)
    assert sum(p.numel() for p in tiny.parameters()) < 30_000
