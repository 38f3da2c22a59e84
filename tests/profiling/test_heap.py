from __future__ import annotations

import pytest

from graftwork.profiling import heap
from graftwork.profiling.allocations import FREED
from graftwork.profiling.heap import MIB, largest_sum, peak


@pytest.fixture
def unpinned(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(heap, "PINNED", 0)


def test_most_bytes_alive_at_one_time() -> None:
    assert largest_sum([(1, 10), (2, 20), (1, FREED), (3, 15), (2, FREED), (3, FREED)]) == 35


@pytest.mark.usefixtures("unpinned")
def test_a_hole_serves_what_fits_into_it() -> None:
    assert peak([(1, 4 * MIB), (2, MIB), (1, FREED), (3, 3 * MIB)]) == 5 * MIB


@pytest.mark.usefixtures("unpinned")
def test_neighbouring_holes_become_one() -> None:
    events = [(1, 2 * MIB), (2, 2 * MIB), (3, MIB), (1, FREED), (2, FREED), (4, 3 * MIB)]
    assert peak(events) == 5 * MIB


def test_a_small_object_between_holes_keeps_them_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(heap, "PINNED", 1)
    monkeypatch.setattr(heap, "LASTING", 2)
    events = [(1, 2 * MIB), (2, 2 * MIB), (3, MIB), (1, FREED), (2, FREED), (4, 3 * MIB)]
    assert peak(events) == 8 * MIB


def test_small_objects_go_with_a_passing_block(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(heap, "PINNED", 1)
    events = [(1, 2 * MIB), (2, 2 * MIB), (3, MIB), (1, FREED), (2, FREED), (4, 3 * MIB)]
    assert peak(events) == 5 * MIB


@pytest.mark.usefixtures("unpinned")
def test_a_hole_is_too_small_for_the_same_size_again() -> None:
    assert peak([(1, 4 * MIB), (2, MIB), (1, FREED), (3, 4 * MIB)]) == 9 * MIB


@pytest.mark.usefixtures("unpinned")
def test_large_blocks_leave_no_hole() -> None:
    large = 40 * MIB
    assert peak([(1, large), (2, MIB), (1, FREED), (3, large), (3, FREED)]) == large + MIB


@pytest.mark.usefixtures("unpinned")
def test_a_freed_block_raises_the_threshold() -> None:
    """So the second block of that size stands in the heap, and its space stays after it."""
    events = [(1, 20 * MIB), (1, FREED), (2, 20 * MIB), (3, MIB), (2, FREED), (4, 40 * MIB)]
    assert peak(events) == (21 + 40) * MIB


def test_chance_is_the_same_every_time() -> None:
    events = [(block, size * MIB) for block, size in enumerate((1, 2, 3, 4))]
    events += [(1, FREED), (2, FREED), (9, 5 * MIB)]
    assert peak(events) == peak(events)
