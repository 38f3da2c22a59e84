from __future__ import annotations

import pytest
import torch

from graftwork.config.errors import UserError
from graftwork.models.heads import Linear, Mlp


def test_linear_head_starts_narrow_with_zero_biases() -> None:
    torch.manual_seed(0)
    head = Linear(init_std=0.01).build(1280, 14)
    assert Linear(init_std=0.01).is_linear
    assert head.weight.shape == (14, 1280)
    assert head.weight.std().item() == pytest.approx(0.01, rel=0.05)  # nn.Linear's own: 0.016
    assert not head.bias.any()


def test_zero_std_makes_all_logits_equal() -> None:
    head = Linear(init_std=0).build(8, 3)
    assert not head(torch.randn(2, 8)).any()


def test_mlp_has_a_hidden_layer_and_dropout() -> None:
    torch.manual_seed(0)
    component = Mlp(hidden=256, dropout=0.5, init_std=0.01)
    head = component.build(64, 14)
    assert not component.is_linear
    assert head.hidden.weight.shape == (256, 64)
    assert head.out.weight.shape == (14, 256)
    assert head.out.weight.std().item() == pytest.approx(0.01, rel=0.1)
    features = torch.randn(4, 64)
    assert not torch.equal(head.train()(features), head(features))
    assert torch.equal(head.eval()(features), head(features))


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: Linear(init_std=-1), "init_std"),
        (lambda: Mlp(hidden=0, dropout=0, init_std=0), "hidden"),
        (lambda: Mlp(hidden=1, dropout=1, init_std=0), "dropout"),
        (lambda: Mlp(hidden=1, dropout=0, init_std=-1), "init_std"),
    ],
)
def test_values_out_of_bounds_are_refused(make: object, said: str) -> None:
    with pytest.raises(UserError, match=said):
        make()  # type: ignore[operator]
