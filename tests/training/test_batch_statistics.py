"""BatchNorm's statistics computed anew: torch's own, and frozen ones left alone."""

from __future__ import annotations

import copy

import torch
from small_network import network
from torch.optim.swa_utils import update_bn

from graftwork.training.batch_statistics import settle


def test_moving_statistics_are_those_of_torch_and_frozen_ones_stay() -> None:
    random = torch.Generator().manual_seed(0)
    batches = [
        (torch.randint(0, 256, (4, 32, 32, 3), dtype=torch.uint8, generator=random), torch.zeros(4))
        for _ in range(3)
    ]
    made = network("tiny_cnn", 32)
    count = len(made.layer_groups()) - 1
    made.freeze([True] * count, "trained")
    torchs = copy.deepcopy(made)
    update_bn([torchs.normalise(images) for images, _ in batches], torchs)
    settle(made, batches, "cpu")
    assert not made.training
    for name, tensor in made.state_dict().items():
        torch.testing.assert_close(tensor, torchs.state_dict()[name], msg=name)
    before = copy.deepcopy(made.state_dict())
    made.freeze([True] * count, "frozen")
    settle(made, batches[:1], "cpu")
    assert all(torch.equal(tensor, before[name]) for name, tensor in made.state_dict().items())
