"""Freed memory stays while a network trains: in a process of its own.

Once an allocation has failed in a process, glibc serves that thread from elsewhere for good, and
keeps nothing there: another test that asks for too much would decide what is seen here.
"""

from __future__ import annotations

import json
import subprocess
import sys
from functools import cache

import pytest

from graftwork.training import kept_memory

CHILD = """
import json, resource
import psutil
import torch
from graftwork.training.kept_memory import kept_memory as kept

SIZE = 384 * 2**20  # bytes: beyond every threshold from which glibc maps a block on its own

def faults():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(3):
        torch.ones(SIZE, dtype=torch.uint8)
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

found = {"usual": faults()}
with kept():
    faults()  # until the heap has room for them
    found["kept"] = min(faults() for _ in range(3))
    during = psutil.Process().memory_info().rss
found["given_back"] = (during - psutil.Process().memory_info().rss) / SIZE
print(json.dumps(found))
"""


@cache
def seen() -> dict[str, float]:
    done = subprocess.run(
        [sys.executable, "-c", CHILD], capture_output=True, text=True, check=True, timeout=120
    )
    return dict(json.loads(done.stdout))


def test_freed_memory_is_used_again_without_asking_the_system() -> None:
    if kept_memory._glibc() is None:
        pytest.skip("no glibc here")
    assert seen()["kept"] < seen()["usual"] / 2


def test_afterwards_it_goes_back() -> None:
    if kept_memory._glibc() is None:
        pytest.skip("no glibc here")
    assert seen()["given_back"] > 0.75


def test_without_glibc_nothing_happens(monkeypatch: pytest.MonkeyPatch) -> None:
    def absent(_: object) -> object:
        raise OSError("no such library")

    monkeypatch.setattr(kept_memory.ctypes, "CDLL", absent)
    with kept_memory.kept_memory():
        assert kept_memory._glibc() is None
