"""What is kept of a training: the values of timm's and torch's averages, and of the soup."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import nn
from torch.optim.swa_utils import AveragedModel

from graftwork.config.errors import UserError
from graftwork.process.vision import timm
from graftwork.transfer.averages import EMA, SWA, Best, Last, ModelSoup, PartOfTheWay
from graftwork.transfer.bound.gathering import (
    BestEpoch,
    Gathering,
    MeanOfEpochs,
    MovingAverage,
    Soup,
    mean_of,
)


def network(value: float | None = None) -> nn.Module:
    made = nn.Sequential(nn.Linear(3, 2), nn.BatchNorm1d(2))
    if value is not None:
        nn.init.constant_(made[0].weight, value)
    return made


def moved(made: nn.Module, seed: int) -> nn.Module:
    """With other weights and statistics."""
    random = torch.Generator().manual_seed(seed)
    for tensor in made.state_dict().values():
        if tensor.is_floating_point():
            tensor.add_(torch.rand(tensor.shape, generator=random))
        else:
            tensor.add_(1)
    return made


def placed(gathering: Gathering, settle: Callable[[], None] = lambda: None) -> dict[str, Any]:
    made = network()
    gathering.place(made, settle, None)
    return made.state_dict()


def test_the_moving_average_is_timms_with_its_warm_up() -> None:
    made = network()
    timms = timm.utils.ModelEmaV3(made, decay=0.8, use_warmup=True, warmup_power=0.75)
    mine = MovingAverage(0.8, 0.75)
    for step in range(12):
        mine.after_step(moved(made, step))
        timms.update(made, step=step + 1)
    mine.after_epoch(made, 0, 1.0, None)
    expected = timms.module.state_dict()
    for name, tensor in placed(mine).items():
        torch.testing.assert_close(tensor, expected[name], msg=name)
    assert mine.epochs == [0]


def test_the_mean_of_epochs_is_torchs_and_settles_its_statistics() -> None:
    made, settled = network(), []
    torchs: Any = AveragedModel(made, use_buffers=True)
    mine = MeanOfEpochs(0.5)
    for epoch in range(6):
        mine.after_epoch(moved(made, epoch), epoch, (epoch + 1) / 6, None)
        if epoch >= 3:  # behind half of the steps
            torchs.update_parameters(made)
    found = placed(mine, lambda: settled.append(True))
    for name, tensor in torchs.module.state_dict().items():
        if tensor.is_floating_point():
            torch.testing.assert_close(found[name], tensor, msg=name)
    assert mine.epochs == [3, 4, 5] and settled == [True]


def soup(best: int, scores: list[float | None], *, greedy: bool = False) -> Soup:
    """Of epochs whose weights are the powers of ten, so that a sum tells its parts."""
    found = Soup(best, greedy)
    for epoch, score in enumerate(scores):
        heard = None if score is None else (score, 0.0)
        found.after_epoch(network(10.0**epoch), epoch, 1.0, heard)
    return found


def test_a_soup_is_the_mean_of_the_best_and_of_the_last_where_nobody_is_asked() -> None:
    for scores, expected in (([0.5, 0.9, 0.6, 0.7], 1010 / 2), ([None] * 4, 1100 / 2)):
        found = soup(2, scores)
        weight = placed(found)["0.weight"]
        torch.testing.assert_close(weight, torch.full_like(weight, expected))
    assert found.words == ""
    asked = soup(2, [0.5, 0.9, 0.6, 0.7])
    placed(asked)
    assert asked.words == "which epochs' weights to average: 2, 4 (of the 2 best)"


def test_a_greedy_soup_leaves_out_what_spoils_it() -> None:
    found, made, settled = soup(3, [0.5, 0.9, 0.6, 0.7], greedy=True), network(), []

    def ask() -> tuple[float, float]:
        """Epoch 2 (of 1000) helps, epoch 3 (of 100) spoils."""
        held = made.state_dict()["0.weight"][0, 0].item()
        return (0.95 if held == pytest.approx(1010 / 2) else 0.8), 0.0

    found.place(made, lambda: settled.append(True), ask)
    weight = made.state_dict()["0.weight"]
    torch.testing.assert_close(weight, torch.full_like(weight, 1010 / 2))
    assert sorted(found.epochs) == [1, 3] and len(settled) == 3  # two candidates, and what is kept


def test_one_epoch_alone_is_itself_bit_for_bit() -> None:
    for gathering in (Soup(1, False), BestEpoch(), MeanOfEpochs(0.0)):
        made = moved(network(), 0)
        gathering.after_epoch(made, 0, 1.0, (0.5, 0.0))
        found = placed(gathering)
        assert all(torch.equal(t, found[name]) for name, t in made.state_dict().items())


def test_who_gathers_where_who_can_be_asked() -> None:
    shares = [1.0]
    assert PartOfTheWay(shares).gathering(True, False) is None
    assert isinstance(PartOfTheWay(shares).gathering(True, True), BestEpoch)
    assert isinstance(Best(shares).gathering(True, False), BestEpoch)
    assert (
        Best(shares).gathering(False, False) is None and Last(shares).gathering(True, True) is None
    )
    assert isinstance(ModelSoup(shares, 2, True).gathering(False, False), Soup)


@pytest.mark.parametrize(
    ("make", "field"),
    [
        (lambda: EMA([1.0], 1.0, 0.5), "decay"),
        (lambda: EMA([1.0], 0.9, 0.0), "power"),
        (lambda: SWA([1.0], 1.0), "begin"),
        (lambda: ModelSoup([1.0], 0, True), "best"),
        (lambda: EMA([2.0], 0.9, 0.5), "trained_shares"),
    ],
)
def test_bounds(make: Any, field: str) -> None:
    with pytest.raises(UserError, match=f"^{field}.*out of bounds"):
        make()


def test_what_stands_still_does_in_the_mean() -> None:
    """A sum of five equal float32, divided by five, may be another."""
    still = {"w": torch.rand(1000, generator=torch.Generator().manual_seed(0))}
    assert torch.equal(mean_of([still] * 5)["w"], still["w"])
