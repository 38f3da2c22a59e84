"""Freed memory stays with the process while it trains: no step asks the system for it again."""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Iterator
from contextlib import contextmanager

M_TRIM_THRESHOLD, M_MMAP_MAX = -1, -4  # malloc.h
TRIM_DEFAULT, MMAP_DEFAULT = 128 * 1024, 65536  # mallopt(3)
NEVER = -1  # as size_t the largest number


@contextmanager
def kept_memory() -> Iterator[None]:
    """Tells glibc to keep what is freed; afterwards all of it goes back.

    Otherwise each large activation of each step is mapped anew, and the kernel clears its pages one
    by one: a fifth of a training step on CPUs. Where there is no glibc nothing happens.
    """
    heap = _glibc()
    if heap is None:
        yield
        return
    tune, trim = heap
    tune(M_MMAP_MAX, 0)
    tune(M_TRIM_THRESHOLD, NEVER)
    try:
        yield
    finally:
        tune(M_MMAP_MAX, MMAP_DEFAULT)
        tune(M_TRIM_THRESHOLD, TRIM_DEFAULT)
        trim(0)


def _glibc() -> tuple[Callable[[int, int], int], Callable[[int], int]] | None:
    try:
        library = ctypes.CDLL(None)
        library.gnu_get_libc_version  # noqa: B018  (another C library may ignore or refuse these)
        return library.mallopt, library.malloc_trim
    except (OSError, AttributeError, TypeError):  # TypeError: Windows
        return None
