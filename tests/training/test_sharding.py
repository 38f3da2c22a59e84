"""trainer=fsdp: networks in parts; what cannot be is refused, and two processes equal one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from conftest import composed
from tiny_experiment import tiny_experiment
from tiny_transfer import draw_photos, save_weights, transfer_params

from graftwork.config.errors import UserError
from graftwork.experiment import Experiment
from graftwork.training import lightning_trainer
from graftwork.training.sharding import _blocks

FSDP = ("trainer=fsdp", "transfer/average=last")


@pytest.mark.parametrize(
    ("overrides", "says"),
    [
        (("trainer=fsdp",), "transfer.average gathers whole weights .* transfer/average=last"),
        (
            (*FSDP, "transfer=l2_sp", "transfer/average=last"),
            "transfer.penalties.l2_sp compares whole",
        ),
        ((*FSDP, "transfer=lora", "transfer/average=last"), "transfer.adapter changes whole"),
        ((*FSDP, "extraction.views=2"), "a stored prefix splits whole .*extraction.views=null"),
        ((*FSDP, "trainer.processes=1"), "one process has nothing to share out"),
        ((*FSDP, "trainer.checkpoint_minutes=5"), "cannot go on bit for bit.*checkpoint_minutes"),
        ((*FSDP, "trainer.compile=auto"), "blocks change size"),
    ],
)
def test_what_needs_whole_weights_is_refused(overrides: tuple[str, ...], says: str) -> None:
    with pytest.raises(UserError, match=says):
        Experiment.from_params(composed(*overrides))


def test_it_asks_for_gpus_and_is_lightnings_own(tmp_path: Path) -> None:
    trainer = Experiment.from_params(composed(*FSDP)).trainer
    if not torch.cuda.is_available():
        with pytest.raises(UserError, match="accelerator: gpu, but torch sees none here"):
            trainer.uses_gpu()
    strategy = lightning_trainer._several_processes(trainer, on_gpu=False)
    assert isinstance(strategy, lightning_trainer.pl.strategies.ModelParallelStrategy)
    assert strategy.process_group_backend == "gloo"


def test_blocks_are_what_stands_in_sequences() -> None:
    block = torch.nn.Module()
    block.inner = torch.nn.Sequential(torch.nn.Linear(1, 1))
    stages = torch.nn.Sequential(torch.nn.Sequential(block), torch.nn.ReLU())
    network = torch.nn.Module()
    network.stem, network.stages = torch.nn.Linear(1, 1), stages
    assert list(_blocks(network)) == [block, stages[1]]


@pytest.mark.slow
@pytest.mark.parametrize("transfer", ["lp_ft", "gradual_unfreeze"])
def test_two_processes_equal_one(tmp_path: Path, transfer: str) -> None:
    """And what never trains is what it was, bit for bit: the audit says otherwise."""
    from graftwork.model_folder import contents as model_folder
    from pipelines import finetune

    draw_photos(tmp_path / "photos")
    save_weights(tmp_path / "weights.pth")
    found: list[Any] = []
    for trainer in ("default", "fsdp"):
        values = transfer_params(
            tmp_path / "photos", tmp_path / "weights.pth", f"trainer={trainer}",
            f"transfer={transfer}", "transfer/average=last", "trainer.accelerator=cpu",
            "selection=random", "trainer.batch_size=8", "augmentation=light", "transfer.epochs=3",
            "trainer.precision=fp32", "trainer.refit=on",
        )  # fmt: skip
        experiment, artifacts = tiny_experiment(values, tmp_path / trainer)
        finetune.run(experiment, artifacts)
        contract = model_folder.read_contract(artifacts.model)
        found.append(model_folder.read_tensors(artifacts.model, contract))
    assert found[0].keys() == found[1].keys()
    for name, tensor in found[0].items():
        np.testing.assert_allclose(found[1][name], tensor, rtol=1e-3, atol=1e-5)
