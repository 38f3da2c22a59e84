"""What training would refuse is refused before a stage begins; nothing else pays for the look."""

from __future__ import annotations

import runpy
import sys

import pytest
import torch
import yaml

from graftwork.config.errors import UserError
from graftwork.experiment import Experiment
from graftwork.profiling import profile
from graftwork.storage.artifacts import Artifacts
from pipelines import experiment
from pipelines.ahead import check_ahead

UNFROZEN = ("extraction.prefix=stored", "extraction.views=2")  # from_scratch trains everything
BLOCKS_9 = ("transfer/trainable=from_group", "transfer.trainable.first=blocks.9")
BETA = (
    "transfer/optimiser=by_name", "transfer.optimiser.name=lion",
    "+transfer.optimiser.options.beta=[0,0]",
)  # fmt: skip
REFUSED = [
    (("trainer.accelerator=gpu",), "trainer.accelerator: gpu, but torch sees none here"),
    (BLOCKS_9, "transfer.trainable.first: 'blocks.9' is unknown. Did you mean 'stages.0'"),
    (BETA, "transfer.optimiser.options.beta: 'beta' is unknown. Did you mean 'betas'"),
    ((*BLOCKS_9[:1], "transfer.trainable.first=99"), "transfer.trainable.first: 99 is out of"),
    (
        ("augmentation=custom", "augmentation.transforms=[{Rotate: {limt: 3}}]"),
        "augmentation.transforms.0..Rotate.limt: 'limt' is unknown. Did you mean 'limit'",
    ),
    (UNFROZEN, "extraction.prefix: stored, but tiny_cnn cannot be split: its first layers"),
]


@pytest.fixture(autouse=True)
def no_gpu(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)


@pytest.mark.parametrize(
    ("overrides", "said"), REFUSED, ids=["gpu", "group", "option", "number", "transform", "prefix"]
)
def test_an_experiment_is_refused_before_its_first_stage(
    overrides, said, tmp_path, tiny_params, monkeypatch
):
    begun = []
    monkeypatch.setattr(experiment, "stages", lambda: ["download"])
    monkeypatch.setattr(experiment, "measured", lambda run, *_: begun.append(run))
    artifacts = Artifacts.at(tmp_path)
    artifacts.params.write_text(yaml.safe_dump(tiny_params(*overrides)))
    with pytest.raises(UserError, match=said):
        experiment.conduct(artifacts)
    assert not begun and not artifacts.run.exists()


@pytest.mark.parametrize("stage", ["extract_features", "finetune"])
@pytest.mark.filterwarnings("ignore:.*found in sys.modules")
def test_a_stage_alone_is_refused_before_it_looks_for_data(
    stage, tmp_path, tiny_params, monkeypatch, capsys
):
    (tmp_path / "params.yaml").write_text(yaml.safe_dump(tiny_params(*BLOCKS_9)))
    monkeypatch.setattr(sys, "argv", [stage, "--root", str(tmp_path)])
    monkeypatch.setattr("signal.signal", lambda *_: None)
    with pytest.raises(SystemExit) as stop:
        runpy.run_module(f"pipelines.{stage}", run_name="__main__")
    assert stop.value.code == 2
    assert capsys.readouterr().err.startswith(f"graftwork: {REFUSED[1][1]}")


@pytest.mark.parametrize(
    "overrides",
    [
        ("trainer.accelerator=cpu",),
        ("transfer=linear_probe", "transfer/start=random", "trainer.accelerator=gpu"),
    ],
    ids=["trains", "trains nothing"],
)
def test_others_build_nothing(overrides, tiny_params, monkeypatch):
    monkeypatch.setattr(profile, "built", None)
    check_ahead(Experiment.from_params(tiny_params(*overrides)))


def test_a_group_that_the_network_has_is_no_mistake(tiny_params):
    check_ahead(Experiment.from_params(tiny_params(BLOCKS_9[0], "transfer.trainable.first=1")))
