from __future__ import annotations

import pytest
import torch

from graftwork.models.network.pooling import Pooling

MAP = torch.arange(2 * 3 * 2 * 2, dtype=torch.float32).view(2, 3, 2, 2)
EXPECTED = {
    "avg": MAP.mean((2, 3)),
    "max": MAP.amax((2, 3)),
    "avgmax": (MAP.mean((2, 3)) + MAP.amax((2, 3))) / 2,
}


@pytest.mark.parametrize("kind", EXPECTED)
def test_every_layout_gives_the_same_vector(kind: str) -> None:
    tokens = MAP.flatten(2).transpose(1, 2)
    with_prefix = torch.cat([torch.full((2, 2, 3), 1e6), tokens], dim=1)
    assert torch.equal(Pooling(kind)(MAP), EXPECTED[kind])
    assert torch.equal(Pooling(kind, channels_last=True)(MAP.permute(0, 2, 3, 1)), EXPECTED[kind])
    assert torch.equal(Pooling(kind, prefix_tokens=2)(with_prefix), EXPECTED[kind])


def test_flatten_keeps_every_position_channel_by_channel() -> None:
    assert torch.equal(Pooling("flatten")(MAP), MAP.reshape(2, 12))


def test_vectors_pass() -> None:
    vectors = torch.ones(2, 5)
    assert Pooling("max")(vectors) is vectors
    assert "max" in repr(Pooling("max"))
