"""The step at which a training diverged, run again: the same bits, the layer, the pictures."""

from __future__ import annotations

import dataclasses
import json
import re
from pathlib import Path
from typing import Any

import pytest
import torch
from cut_trainings import SETTINGS
from mlflow import MlflowClient
from tiny_experiment import tiny_experiment
from tiny_transfer import draw_photos, save_weights, transfer_params

from graftwork.cli.replay import root_of
from graftwork.config.errors import UserError
from graftwork.experiment import Experiment
from graftwork.storage.artifacts import Artifacts
from graftwork.training.diverging import Diverged
from graftwork.training.graft_module import GraftModule
from pipelines import finetune
from pipelines.replay import replay

STEP, ROW, LAYER = 4, 2, "stages.1.conv"


@pytest.fixture(scope="module")
def diverged(tmp_path_factory: pytest.TempPathFactory) -> tuple[Experiment, Artifacts]:
    """A training that met a layer without numbers in the second step of its second epoch."""
    place = tmp_path_factory.mktemp("replayed")
    draw_photos(place / "photos")
    save_weights(place / "weights.pth")
    params = transfer_params(
        place / "photos", place / "weights.pth", *SETTINGS,
        "transfer=fine_tune", "transfer.least_steps=0", "transfer.batch_norm=trained",
        "trainer.batch_size=5", "trainer.accumulate=2", "transfer/objective=mixed",
    )  # fmt: skip
    experiment, artifacts = tiny_experiment(params, place / "run")
    with pytest.MonkeyPatch.context() as patch, pytest.raises(Diverged):
        poison(patch)
        finetune.run(experiment, artifacts)
    return experiment, artifacts


def poison(patch: pytest.MonkeyPatch, at: int = STEP) -> None:
    """At one step a layer gives no number for a picture."""
    real = GraftModule.minimised

    def none_in(_: object, __: object, output: torch.Tensor) -> torch.Tensor:
        return output.index_fill(0, torch.tensor(ROW), torch.nan)

    def minimised(module: GraftModule, images: Any, labels: Any, moment: Any, *part: int) -> Any:
        layer = module.classifier.backbone.get_submodule(LAYER)
        hook = layer.register_forward_hook(none_in, prepend=True)
        if moment.step != at:
            hook.remove()
        try:
            return real(module, images, labels, moment, *part)
        finally:
            hook.remove()

    patch.setattr(GraftModule, "minimised", minimised)


def test_mlflow_says_failed_and_where(diverged: tuple[Experiment, Artifacts]) -> None:
    artifacts = diverged[1]
    client = MlflowClient(f"sqlite:///{artifacts.mlflow_db}")
    run = client.get_run(json.loads(artifacts.run.read_text())["run_id"])
    assert run.info.status == "FAILED"
    assert run.data.tags["diverged"] == "the loss is nan in epoch 2, step 2"


def test_it_gives_the_same_bits_and_names_layer_and_pictures(
    diverged: tuple[Experiment, Artifacts],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    poison(monkeypatch)
    before = {path: path.read_bytes() for path in kept(diverged)}
    assert replay(*diverged)
    said = capsys.readouterr().out
    assert "epoch 2, step 2, after 4 steps; 10 pictures; the loss is nan" in said
    assert said.count("the recorded one bit for bit") == 2
    assert re.search(rf"backbone\.{LAYER} \(Conv2d\).* of \d+ values, for 1 of the pictures", said)
    assert "losses of 2 steps before it, bit for bit" in said
    assert "no number in stem, stages.0, stages.1, head" in said
    page = diverged[1].replay.read_text()
    assert page.count("<figure") == 10 and page.count('<figure class="none">') == 1
    assert page.index('class="none"') < page.index("<figure>")  # it comes first
    assert f'alt="{ROW + 1}: ' in page.partition("<figcaption>")[0]
    assert before == {path: path.read_bytes() for path in kept(diverged)}


def test_from_an_older_checkpoint_the_missing_steps_are_run(
    diverged: tuple[Experiment, Artifacts],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Here from none: from the first step on."""
    poison(monkeypatch)
    receipts = list(diverged[1].training.glob("*/*/01-*.json"))
    assert receipts
    for receipt in receipts:
        receipt.rename(receipt.with_suffix(".away"))
    try:
        assert replay(*diverged)
    finally:
        for receipt in receipts:
            receipt.with_suffix(".away").rename(receipt)
    assert capsys.readouterr().out.count("bit for bit") == 3


def test_other_numbers_are_told(
    diverged: tuple[Experiment, Artifacts],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """As where another machine computes another loss, here none that is wrong."""
    poison(monkeypatch, at=99)
    assert not replay(*diverged)
    said = capsys.readouterr().out
    assert said.count("NOT the recorded one (nan)") == 2 and "every layer gave numbers" in said
    assert "numbers in every layer group" in said
    assert "do not compute what was recorded" in diverged[1].replay.read_text()


def test_without_a_step_it_says_why(
    diverged: tuple[Experiment, Artifacts], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    experiment, artifacts = diverged
    with pytest.raises(UserError, match="diverged under other settings, data or code"):
        replay(dataclasses.replace(experiment, seed=7), artifacts)
    other = Artifacts.at(tmp_path, tmp_path)
    other.manifest.parent.mkdir(parents=True)
    other.manifest.write_bytes(artifacts.manifest.read_bytes())
    with pytest.raises(UserError, match="no step is recorded here"):
        replay(experiment, other)
    monkeypatch.chdir(artifacts.shared)
    run_id = json.loads(artifacts.run.read_text())["run_id"]
    assert root_of(f"run:{run_id}") == artifacts.root and root_of("x/y") == Path("x/y")
    with pytest.raises(UserError, match="run:abc: .* holds no step of this run"):
        root_of("run:abc")


def kept(diverged: tuple[Experiment, Artifacts]) -> list[Path]:
    return [path for path in diverged[1].training.rglob("*") if path.is_file()]
