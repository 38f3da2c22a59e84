from __future__ import annotations

import resource

import psutil
import pytest
import torch

from graftwork.training import kept_memory
from graftwork.training.kept_memory import kept_memory as kept

# Bytes: beyond every threshold from which glibc maps a block on its own, and beyond every hole that
# trainings of other tests may have left in the heap of this process.
SIZE = 384 * 2**20

pytestmark = pytest.mark.skipif(kept_memory._glibc() is None, reason="no glibc here")


def faults_of_blocks() -> int:
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(3):
        torch.ones(SIZE, dtype=torch.uint8)
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before


def test_freed_memory_is_used_again_without_asking_the_system() -> None:
    usual = faults_of_blocks()
    with kept():
        faults_of_blocks()  # until the heap has room for them
        assert min(faults_of_blocks() for _ in range(5)) < usual / 2


def test_afterwards_it_goes_back() -> None:
    resident = psutil.Process().memory_info
    with kept():
        torch.ones(2 * SIZE, dtype=torch.uint8)
        during = resident().rss
    assert resident().rss < during - 1.5 * SIZE


def test_without_glibc_nothing_happens(monkeypatch: pytest.MonkeyPatch) -> None:
    def absent(_: object) -> object:
        raise OSError("no such library")

    monkeypatch.setattr(kept_memory.ctypes, "CDLL", absent)
    usual = faults_of_blocks()
    with kept():
        assert faults_of_blocks() > usual / 2
