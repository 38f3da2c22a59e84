from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from graftwork.errors import UserError
from graftwork.experiment import Experiment
from graftwork.training.finetuning import select, write_history
from graftwork.training.fitting import interpolate

Params = Callable[..., dict[str, Any]]
FEW = np.array([0, 1, 2, 0])
PROBE = ["transfer=linear_probe", "model=efficientnet_lite0"]


@pytest.mark.parametrize(
    ("overrides", "val", "rule", "words"),
    [
        (["trainer.min_val=4"], FEW, "best", "highest top-1 on 4 validation pictures"),
        (["trainer.min_val=5"], FEW, "last", r"4 validation pictures are too few.*min_val=5"),
        (["trainer.min_val=4"], np.zeros(9, int), "last", "2 classes have no validation picture"),
        ([], np.zeros(0, int), "last", "there are no validation pictures"),
        (["trainer.selection=best"], FEW[:1], "best", "on 1 validation pictures"),
        (["trainer.selection=last", "trainer.min_val=1"], FEW, "last", "trainer.selection says"),
        (PROBE, FEW, "last", "it was fitted on train and val"),
    ],
)
def test_how_the_weights_are_chosen_is_said(
    overrides: list[str], val: np.ndarray, rule: str, words: str, tiny_params: Params
) -> None:
    experiment = Experiment.from_params(tiny_params(*overrides))
    selection = select(experiment, val, num_classes=3)
    assert selection.rule == rule
    assert selection.fit == (("train",) if rule == "best" else ("train", "val"))
    assert re.search(words, selection.words), selection.words


def test_a_probe_can_leave_validation_alone(tiny_params: Params) -> None:
    experiment = Experiment.from_params(tiny_params(*PROBE, "trainer.selection=best"))
    selection = select(experiment, FEW, num_classes=3)
    assert (selection.rule, selection.fit) == ("last", ("train",))
    assert selection.words.endswith("fitted on train")


def test_the_best_of_nothing_is_refused(tiny_params: Params) -> None:
    experiment = Experiment.from_params(tiny_params("trainer.selection=best"))
    with pytest.raises(UserError, match="trainer.selection: best, but there are no validation"):
        select(experiment, np.zeros(0, int), num_classes=3)


def test_history_has_every_column_and_the_epoch_first(tmp_path: Path) -> None:
    path = tmp_path / "reports" / "history.csv"
    write_history([{"epoch": 0, "probe/strength": 0.5}, {"lr": 0.1, "epoch": 1}], path)
    assert path.read_text() == (
        "epoch,lr,probe/strength,train/loss,train/top1,val/loss,val/top1\n0,,0.5,,,,\n1,0.1,,,,,\n"
    )


@pytest.mark.parametrize(("share", "expected"), [(1.0, 3.0), (0.5, 2.0), (0.25, 1.5)])
def test_weights_are_kept_part_of_the_way(share: float, expected: float) -> None:
    network = torch.nn.Sequential(torch.nn.Linear(2, 2), torch.nn.BatchNorm1d(2))
    start = {name: torch.ones_like(t) for name, t in network.state_dict().items()}
    with torch.no_grad():
        for tensor in network.state_dict().values():
            tensor.fill_(3)
    interpolate(network, start, share)  # type: ignore[arg-type]
    for name, tensor in network.state_dict().items():
        counts = name.endswith("num_batches_tracked")
        assert torch.equal(tensor, torch.full_like(tensor, 3 if counts else expected)), name


def test_what_was_frozen_stays_bit_identical() -> None:
    network = torch.nn.Linear(64, 64)
    start = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    interpolate(network, start, 0.7)  # type: ignore[arg-type]
    assert all(torch.equal(t, start[n]) for n, t in network.state_dict().items())
