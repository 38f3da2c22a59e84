"""Optimisers: which steps they take, and which rates they can be given."""

from __future__ import annotations

import pytest
import torch
from conftest import composed

from graftwork.config.components import build
from graftwork.config.errors import UserError
from graftwork.process.vision import timm  # noqa: F401
from graftwork.transfer.optimisers import SGD, AdamW
from graftwork.transfer.parts import Optimiser
from graftwork.transfer.strategy import Transfer
from graftwork.transfer.timm_optimiser import BY_RATE, REFUSED, TimmOptimiser, legal_names

LR, DECAY, STEPS = 0.1, 0.01, 4


def stepped(optimiser: Optimiser, gradients: float = 1.0, size: float = 1.0) -> torch.Tensor:
    """`[STEPS, n]`: a matrix after each step; its gradients are random, the same each time."""
    random = torch.Generator().manual_seed(0)
    weight = torch.nn.Parameter(torch.randn(8, 6, generator=random) * size)
    made = optimiser.build([{"params": [weight], "lr": LR, "weight_decay": DECAY}])
    found = []
    for _ in range(STEPS):
        weight.grad = torch.randn(8, 6, generator=random) * gradients
        made.step()
        found.append(weight.detach().flatten().clone())
    assert [group["lr"] for group in made.param_groups] == [LR]
    return torch.stack(found)


def test_sgd_takes_the_steps_of_its_formula() -> None:
    """v = m v + g + d w; w = w - lr v, or with Nesterov's look ahead w - lr (g + d w + m v)."""
    for nesterov in (False, True):
        random = torch.Generator().manual_seed(0)
        weight, velocity = torch.randn(8, 6, generator=random), torch.zeros(8, 6)
        expected = []
        for _ in range(STEPS):
            gradient = torch.randn(8, 6, generator=random) + DECAY * weight
            velocity = 0.9 * velocity + gradient
            weight = weight - LR * (gradient + 0.9 * velocity if nesterov else velocity)
            expected.append(weight.flatten())
        found = stepped(SGD(DECAY, 0.9, nesterov))
        torch.testing.assert_close(found, torch.stack(expected))


def test_lamb_takes_timms_steps() -> None:
    from timm.optim import Lamb

    random = torch.Generator().manual_seed(0)
    weight = torch.nn.Parameter(torch.randn(8, 6, generator=random))
    made = Lamb([weight], lr=LR, weight_decay=DECAY)
    for row in stepped(TimmOptimiser(DECAY, "lamb", {})):
        weight.grad = torch.randn(8, 6, generator=random)
        made.step()
        assert torch.equal(row, weight.detach().flatten())


def test_names_are_timms_without_those_that_cannot_be_used_here() -> None:
    from timm.optim import list_optimizers

    elsewhere = [name for name in list_optimizers() if name.startswith(("bnb", "fused", "kron"))]
    twice = {"nesterov", "nesterovw"}  # other names of sgd and sgdw
    assert set(legal_names()) == set(list_optimizers()) - set(elsewhere) - set(REFUSED) - twice
    assert set(legal_names()) >= BY_RATE


@pytest.mark.parametrize("name", legal_names())
def test_each_steps_at_its_groups_rate(name: str) -> None:
    """And where a step is said to have the size of the rate, it has, whatever the gradients."""
    optimiser = TimmOptimiser(0.0, name, {})
    found = stepped(optimiser)
    assert found.isfinite().all() and not torch.equal(found[0], found[-1])
    if not optimiser.moves_by_rate:
        return
    for size in (1.0, 0.01):
        moved = stepped(optimiser, gradients=1e-3, size=size).diff(dim=0)
        assert LR / 6 < moved.square().mean().sqrt() < 1.5 * LR, size


def test_options_reach_the_optimiser_and_strange_ones_are_refused() -> None:
    plain, other = TimmOptimiser(0.0, "lion", {}), TimmOptimiser(0.0, "lion", {"betas": [0.0, 0.9]})
    assert not torch.equal(stepped(plain), stepped(other))
    with pytest.raises(UserError, match=r"optimiser\.options\.beta.*Did you mean 'betas'"):
        TimmOptimiser(0.0, "lion", {"beta": [0.9, 0.9]}).check()
    with pytest.raises(UserError, match=r"options\.lr: is said elsewhere.*transfer/rates"):
        TimmOptimiser(0.0, "lion", {"lr": 0.1})


def test_a_wrong_name_is_refused_with_the_nearest() -> None:
    with pytest.raises(UserError, match="name: 'lmab' is unknown. Did you mean 'lamb'"):
        TimmOptimiser(0.0, "lmab", {})


def test_momentum_has_bounds_and_nesterov_needs_it() -> None:
    with pytest.raises(UserError, match="^momentum: 1.0 is out of bounds"):
        SGD(0.0, 1.0, False)
    with pytest.raises(UserError, match="nesterov: true .* none.*momentum"):
        SGD(0.0, 0.0, True)


def test_rates_that_are_shares_of_weights_are_refused_where_steps_do_not_follow_them() -> None:
    def strategy(*overrides: str) -> Transfer:
        return build(composed("transfer=fine_tune", *overrides)["transfer"], Transfer, "transfer")

    for optimiser in ("sgd", "lamb"):
        with pytest.raises(UserError, match="transfer.rates: .*transfer/rates=uniform"):
            strategy(f"transfer/optimiser={optimiser}")
        assert strategy(f"transfer/optimiser={optimiser}", "transfer/rates=layer_decay")
    assert strategy("transfer/optimiser=by_name", "transfer.optimiser.name=lion")


def test_rates_grow_with_the_batch_as_the_optimiser_wants() -> None:
    assert SGD(0.0, 0.9, False).rate_growth == 1.0 and AdamW(0.0).rate_growth == 0.5
    growth = {name: TimmOptimiser(0.0, name, {}).rate_growth for name in ("lars", "lamb", "lion")}
    assert growth == {"lars": 1.0, "lamb": 0.5, "lion": 0.5}
