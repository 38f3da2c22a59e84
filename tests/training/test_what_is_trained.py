"""Which groups a training moves, and when: what is frozen stays bit by bit."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from colour_trainings import (
    changed,
    classifier,
    fitted,
    names_of,
    state,
    strategy,
)

from graftwork.config.errors import UserError
from graftwork.training.graft_module import GraftModule
from graftwork.transfer.trainable import FromGroup, HeadOnly
from graftwork.transfer.trainable_schedules import Gradual, OnPlateau


@pytest.mark.parametrize("batch_norm", ["frozen", "trained"])
def test_frozen_groups_stay_bit_identical(batch_norm: str, tmp_path: Path) -> None:
    network = classifier()
    before = state(network)
    transfer = strategy(trainable=FromGroup("stages.1"), batch_norm=batch_norm, epochs=2)
    fitted(network, transfer, tmp_path)
    trained = names_of(network, "stages.1", "head")
    moved = changed(before, network)
    frozen = {name for name in before if name.startswith(("backbone.stem", "backbone.stages.0"))}
    assert frozen and not moved & frozen
    norms = {name for name in moved if "running" in name}
    assert bool(norms) == (batch_norm == "trained")
    assert moved & trained
    if batch_norm == "frozen":
        assert moved <= trained


def test_head_only_leaves_parameters_and_buffers_of_the_backbone(tmp_path: Path) -> None:
    network = classifier()
    before = state(network)
    fitted(network, strategy(trainable=HeadOnly(), batch_norm="trained", epochs=2), tmp_path)
    assert changed(before, network) == {"head.weight", "head.bias"}


def test_everything_is_trained_where_nothing_is_frozen(tmp_path: Path) -> None:
    network = classifier()
    before = state(network)
    fitted(network, strategy(batch_norm="trained", epochs=2), tmp_path)
    still = set(before) - changed(before, network)
    assert not {name for name in still if not name.endswith("num_batches_tracked")}


def test_frozen_groups_have_no_graph() -> None:
    network = classifier()
    GraftModule(network, strategy(trainable=FromGroup("stages.1")), 3).train()
    seen = {}
    for name in ("stages.0", "stages.1"):
        module = network.backbone.get_submodule(name)
        module.register_forward_hook(lambda m, i, out, name=name: seen.update({name: out}))
    network(network.normalise(torch.zeros(2, 32, 32, 3, dtype=torch.uint8)))
    assert seen["stages.0"].grad_fn is None and seen["stages.1"].grad_fn is not None


def trained_groups(module: GraftModule) -> list[bool]:
    trained = {n for n, p in module.classifier.named_parameters() if p.requires_grad}
    return module.layout.touched(trained)


def test_groups_are_unfrozen_by_schedule_whatever_was_frozen_before(tmp_path: Path) -> None:
    gradual = Gradual(first=0, frozen_share=0.0, until=1.0)
    network = classifier()
    before = state(network)
    module, _ = fitted(network, strategy(trainable=gradual, epochs=3), tmp_path)
    assert trained_groups(module) == [False, True, True]
    moved = changed(before, network)
    trained = names_of(network, "stages.0", "stages.1", "head")
    assert moved == {name for name in trained if ".bn." not in name}
    module.freeze_for(module.moment(0))
    assert trained_groups(module) == [False, False, False]


def test_groups_are_unfrozen_on_a_plateau_and_a_record_of_it_decides_again(tmp_path: Path) -> None:
    never_better = OnPlateau(first=0, frozen_share=0.0, patience=1, least_gain=0.99)
    transfer = strategy(trainable=never_better, epochs=4)
    module, rows = fitted(classifier(), transfer, tmp_path)
    assert list(module.validated) == [row["val/loss"] for row in rows]
    assert trained_groups(module) == [False, True, True]  # plateaus after epochs 2 and 3
    again = GraftModule(classifier(), transfer, 3, epochs=2, known=module.validated)
    assert again.moment(1).validated == module.validated[:2]
    again.freeze_for(again.moment(1))
    assert trained_groups(again) == [False, False, True]


def test_a_wrong_group_shows_before_any_data_is_read() -> None:
    with pytest.raises(UserError, match=r"stages\.9.*Legal:.*stem"):
        GraftModule(classifier(), strategy(trainable=FromGroup("stages.9")), 3)
