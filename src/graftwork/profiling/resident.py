"""Peak memory of what runs in between: resident memory of this process, or of the GPU."""

from __future__ import annotations

import ctypes
import gc
import threading
from contextlib import suppress
from pathlib import Path

import psutil

STATUS, CLEAR_REFS = Path("/proc/self/status"), Path("/proc/self/clear_refs")
SAMPLING = 0.005  # seconds, where the kernel keeps no peak that can be reset


class ResidentPeak:
    """Largest resident memory since `forget`, above what it was at the beginning.

    The kernel's own peak on Linux (VmHWM, started anew through clear_refs); sampled elsewhere.
    """

    def __init__(self) -> None:
        gc.collect()
        with suppress(OSError, AttributeError):  # pages that the heap holds but does not use
            ctypes.CDLL(None).malloc_trim(0)
        self._before = psutil.Process().memory_info().rss
        self._samples: _Samples | None = None

    def forget(self) -> None:
        """What was before does not count."""
        try:
            CLEAR_REFS.write_text("5")
        except OSError:
            self._samples = _Samples()
            self._samples.start()

    def bytes(self) -> int:
        """The peak."""
        if self._samples is not None:
            return self._samples.stop() - self._before
        line = next(x for x in STATUS.read_text().splitlines() if x.startswith("VmHWM"))
        return int(line.split()[1]) * 1024 - self._before


class _Samples(threading.Thread):
    def __init__(self) -> None:
        super().__init__(daemon=True)
        self._process, self._most, self._over = psutil.Process(), 0, threading.Event()

    def run(self) -> None:
        while not self._over.wait(SAMPLING):
            self._most = max(self._most, self._process.memory_info().rss)

    def stop(self) -> int:
        self._over.set()
        self.join()
        return max(self._most, self._process.memory_info().rss)


class GpuPeak:
    """Most bytes of torch's allocator since `forget`."""

    def forget(self) -> None:
        import torch

        torch.cuda.reset_peak_memory_stats()

    def bytes(self) -> int:
        import torch

        return int(torch.cuda.max_memory_allocated())
