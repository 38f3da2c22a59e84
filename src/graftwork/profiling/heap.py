"""What a sequence of allocations costs in resident memory under glibc's malloc.

More than the sum of what is alive: freed space returns to the system only at the heap's end, and
serves again only where something fits. A simulation of the rules that matter for large blocks
(malloc/malloc.c, and mallopt(3) for the numbers):

- the smallest free hole that is large enough is used, its rest stays a hole; else the heap grows;
- aligned blocks, as torch asks for, look for a hole of their size and 96 bytes more, but keep their
  size: the hole that one leaves is too small for the next of the same size;
- blocks beyond the mmap threshold get pages of their own, which go back when they are freed;
  freeing one of up to 32 MiB raises the threshold to its size;
- free neighbours merge, unless a small object lies between them: each tensor brings some (its
  shape, its node of autograd), which land wherever there is room, often just behind the tensor,
  and of one that lasts they last, too;
- the heap's free end goes back once it exceeds twice the threshold.

Training tells glibc to keep what it frees (training/kept_memory.py), by which the last two rules
fall away. The simulation has them still: for VGG-11 the forecast is 7 % lower by that, for
seven others that were tried at most 1 %.
"""

from __future__ import annotations

import random
from bisect import bisect_left, insort
from collections.abc import Iterable, Sequence
from statistics import fmean

from graftwork.profiling.allocations import FREED, Event

MIB = 2**20
LARGEST_THRESHOLD = 32 * MIB  # DEFAULT_MMAP_THRESHOLD_MAX on 64 bits, mallopt(3)
# Importing torch and building a network has freed blocks of some MiB by the time training starts.
FIRST_THRESHOLD = 8 * MIB
SLACK = 64 + 32  # bytes: torch's alignment, and the smallest chunk (_int_memalign)
SMALL = 4096  # bytes: what is smaller finds room among its like
# Events after which a block has lasted, and the share of those behind which a small object stays.
# Not known in advance: chosen on the pairs that docs/memory.md marks, tested on the others. Halving
# or doubling the first, or a quarter more or less of the second, moves a forecast by up to 8 %.
LASTING = 50
PINNED = 0.4
DRAWS = 8  # which blocks those are is chance: the mean of several draws


def peak(events: Iterable[Event]) -> int:
    """Largest resident size in bytes, the expectation over where small objects land."""
    events = list(events)
    lasting = _lasting(events)
    return round(fmean(_Heap(seed, lasting).peak(events) for seed in range(DRAWS)))


def _lasting(events: Sequence[Event]) -> set[int]:
    born: dict[int, int] = {}
    lasting: set[int] = set()
    for moment, (block, size) in enumerate(events):
        if size != FREED:
            born[block] = moment
        elif moment - born.pop(block) > LASTING:
            lasting.add(block)
    return lasting | born.keys()


def largest_sum(events: Iterable[Event]) -> int:
    """Most bytes that are alive at one time: what an ideal allocator would need."""
    alive: dict[int, int] = {}
    now = most = 0
    for block, size in events:
        if size == FREED:
            now -= alive.pop(block)
        else:
            alive[block] = size
            now += size
            most = max(most, now)
    return most


class _Heap:
    def __init__(self, seed: int, lasting: set[int]) -> None:
        self._chance, self._lasting = random.Random(seed), lasting
        self._holes: list[tuple[int, int]] = []  # (size, address), sorted
        self._from: dict[int, int] = {}  # address of a hole to its size
        self._to: dict[int, int] = {}  # end of a hole to its address
        self._used: dict[int, tuple[int | None, int]] = {}  # address (None: own pages) and size
        self._pinned: set[int] = set()  # ends of blocks where a small object lies
        self._end = self._resident = self._own_pages = 0
        self._threshold = FIRST_THRESHOLD

    def peak(self, events: Iterable[Event]) -> int:
        most = 0
        for block, size in events:
            if size == FREED:
                self._free(block)
            elif size >= SMALL:
                self._allocate(block, size)
                most = max(most, self._resident + self._own_pages)
        return most

    def _allocate(self, block: int, size: int) -> None:
        place = bisect_left(self._holes, (size + SLACK, -1))
        if place == len(self._holes) and size > self._threshold:
            self._own_pages += size
            self._used[block] = (None, size)
            return
        if place < len(self._holes):
            hole, address = self._holes[place]
            self._fill(address)
            if hole - size >= SMALL:
                self._open(address + size, hole - size)
            else:
                size = hole
        else:
            address, self._end = self._end, self._end + size
            self._resident = max(self._resident, self._end)
        self._used[block] = (address, size)
        if block in self._lasting and self._chance.random() < PINNED:
            self._pinned.add(address + size)

    def _free(self, block: int) -> None:
        if block not in self._used:
            return  # a small one
        address, size = self._used.pop(block)
        if address is None:
            self._own_pages -= size
            if size <= LARGEST_THRESHOLD:
                self._threshold = max(self._threshold, size)
            return
        if address + size in self._from and address + size not in self._pinned:
            size += self._fill(address + size)
        if address in self._to and address not in self._pinned:
            address = self._to[address]
            size += self._fill(address)
        if address + size == self._end and self._end not in self._pinned:
            self._end = address
            if self._resident - self._end > 2 * self._threshold:
                self._resident = self._end
        else:
            self._open(address, size)

    def _open(self, address: int, size: int) -> None:
        insort(self._holes, (size, address))
        self._from[address], self._to[address + size] = size, address

    def _fill(self, address: int) -> int:
        size = self._from.pop(address)
        del self._to[address + size]
        del self._holes[bisect_left(self._holes, (size, address))]
        return size
