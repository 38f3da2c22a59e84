"""What an epoch shows: each sampler's draw."""

from __future__ import annotations

import numpy as np
import pytest

from graftwork.transfer.samplers import ClassBalanced, Shuffled

LABELS = np.repeat([0, 1, 3], [17, 4, 2])  # class 2 has no picture


def test_shuffled_shows_every_picture_once() -> None:
    drawn = Shuffled().rows(LABELS, seed=1, epoch=0)
    assert sorted(drawn) == list(range(23)) and drawn.tolist() != list(range(23))


def test_every_class_comes_as_often() -> None:
    counts = []
    for epoch in range(30):
        drawn = ClassBalanced().rows(LABELS, seed=1, epoch=epoch)
        assert len(drawn) == len(LABELS)
        counts.append([int((LABELS[drawn] == label).sum()) for label in (0, 1, 3)])
    assert {tuple(sorted(each)) for each in counts} == {(7, 8, 8)}
    assert np.ptp(np.sum(counts, 0)) <= 8, "who comes once less changes"


def test_no_picture_comes_again_before_all_of_its_class_came() -> None:
    drawn = ClassBalanced().rows(LABELS, seed=2, epoch=4)
    times = np.bincount(drawn, minlength=len(LABELS))
    for label in (0, 1, 3):
        assert np.ptp(times[label == LABELS]) <= 1
    assert times[LABELS == 0].max() == 1  # 7 or 8 of 17


@pytest.mark.parametrize("sampler", [Shuffled(), ClassBalanced()])
def test_the_draw_follows_from_seed_and_epoch(sampler: Shuffled) -> None:
    def drawn(seed: int, epoch: int) -> list[int]:
        return sampler.rows(LABELS, seed, epoch).tolist()

    assert drawn(1, 2) == drawn(1, 2)
    assert drawn(1, 2) != drawn(1, 3) and drawn(1, 2) != drawn(2, 2)
