from __future__ import annotations

import numpy as np
import pytest
from scipy.sparse.csgraph import connected_components
from sklearn.metrics.pairwise import cosine_similarity

from graftwork.selecting import near_duplicates
from graftwork.selecting.near_duplicates import components


def series(count: int, seed: int, spread: float = 0.2) -> np.ndarray:
    """Features in clumps of random sizes, in no order."""
    random = np.random.default_rng(seed)
    centres = random.normal(size=(count // 4, 16))
    found = centres[random.integers(0, len(centres), count)]
    return (found + spread * random.normal(size=found.shape)).astype(np.float32)


@pytest.mark.parametrize("block", [1, 7, 64, 1024])
@pytest.mark.parametrize("seed", range(3))
def test_blocks_find_what_the_whole_matrix_shows(seed, block, monkeypatch):
    monkeypatch.setattr(near_duplicates, "BLOCK", block)
    features = series(120, seed)
    _, expected = connected_components(cosine_similarity(features) >= 0.95)
    found = components(features, 0.95)
    assert 10 < len(set(found)) < 110, "neither all alone nor all one"
    assert len(set(zip(found, expected, strict=True))) == len(set(found)) == len(set(expected))
    assert all(found[root] == root and root <= at for at, root in enumerate(found))


def test_a_chain_is_one_component_and_length_does_not_matter(monkeypatch):
    monkeypatch.setattr(near_duplicates, "BLOCK", 2)
    turns = np.radians([0, 30, 10, 20, 90])
    features = np.stack([np.cos(turns), np.sin(turns)], 1) * np.arange(1, 6)[:, None]
    assert components(features.astype(np.float32), 0.98).tolist() == [0, 0, 0, 0, 4]
    assert components(features.astype(np.float32), 0.99).tolist() == [0, 1, 2, 3, 4]


def test_a_bound_of_one_links_copies_and_nothing_links_an_empty_row():
    row = np.random.default_rng(0).normal(size=500).astype(np.float32)
    features = np.stack([row, row * 0, row, row * 0, -row])
    assert components(features, 1.0).tolist() == [0, 1, 0, 3, 4]
    assert components(features, 0.0).tolist() == [0, 1, 0, 3, 4]
    assert components(np.zeros((0, 3), np.float32), 0.5).tolist() == []
