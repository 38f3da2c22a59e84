"""Stochastic normalisation: by the batch or by the moving statistics, channel by channel."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from conftest import composed
from small_network import network
from torch import nn
from torch.nn import functional as F

from graftwork.config.components import build
from graftwork.config.errors import UserError
from graftwork.transfer.adapters import StochasticNormalisation
from graftwork.transfer.bound.stochastic_norm import Drawn
from graftwork.transfer.parts import Moment
from graftwork.transfer.strategy import Transfer


def at(step: int) -> Moment:
    return Moment(step, 100, 0, 1)


def drawn(classifier: nn.Module) -> list[Any]:
    return [m.forward for m in classifier.modules() if isinstance(vars(m).get("forward"), Drawn)]


def test_each_channel_is_normalised_as_was_drawn_for_it() -> None:
    norm = nn.BatchNorm2d(4)
    with torch.no_grad():
        norm.running_mean.copy_(torch.arange(4.0))
        norm.weight.copy_(torch.tensor([1.0, 2.0, 3.0, 4.0]))
    maps = torch.randn(8, 4, 3, 3, generator=torch.Generator().manual_seed(0)) + 5
    statistics = norm.running_mean.clone(), norm.running_var.clone()
    moving = F.batch_norm(maps, *statistics, norm.weight, norm.bias, False)
    batch = F.batch_norm(maps, None, None, norm.weight, norm.bias, True)
    chosen = Drawn(norm)
    chosen.by_batch = torch.tensor([True, False, False, True])
    found = chosen(maps)
    for channel, by_batch in enumerate(chosen.by_batch):
        expected = (batch if by_batch else moving)[:, channel]
        torch.testing.assert_close(found[:, channel], expected)
    # The moving statistics follow the batch in every channel, once.
    expected = 0.9 * statistics[0] + 0.1 * maps.mean((0, 2, 3))
    torch.testing.assert_close(norm.running_mean, expected)
    norm.eval()
    torch.testing.assert_close(chosen(maps), norm(maps))


def test_draws_follow_from_seed_and_step_and_differ_between_layers() -> None:
    classifier, adapter = network("resnet10t", 32), StochasticNormalisation(0.5)
    adapter.attach(classifier, seed=0)

    def draws(step: int, seed: int) -> list[torch.Tensor]:
        adapter.tell(classifier, at(step), seed)
        return [one.by_batch for one in drawn(classifier)]

    first = draws(3, seed=0)
    assert all(map(torch.equal, draws(3, seed=0), first))
    for other in (draws(4, seed=0), draws(3, seed=1)):
        assert not all(map(torch.equal, other, first))
    assert not torch.equal(first[1][:24], first[2][:24])
    share = torch.cat([one for step in range(20) for one in draws(step, 0)]).float().mean()
    assert abs(float(share) - 0.5) < 0.02
    adapter.merge(classifier)
    assert not drawn(classifier)


def test_with_an_activation_inside_and_in_eval_mode_it_is_the_plain_network() -> None:
    classifier, adapter = network("tf_efficientnet_lite0", 32), StochasticNormalisation(0.0)
    images = torch.randn(4, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        expected = classifier(images)
        adapter.attach(classifier, seed=0)
        assert torch.equal(classifier(images), expected)
        adapter.tell(classifier, at(0), 0)
        for one in drawn(classifier):
            one.norm.train()  # every channel by the moving statistics, which then follow
        found = classifier(images)
    torch.testing.assert_close(found, expected)


def test_frozen_statistics_leave_nothing_to_draw() -> None:
    with pytest.raises(UserError, match=r"transfer\.adapter: stochastic_.*batch_norm=trained"):
        build(
            composed("transfer=stoch_norm", "transfer.batch_norm=frozen")["transfer"],
            Transfer,
            "transfer",
        )
