"""Energy of what runs in between: counters of the hardware, or an estimate that says so.

- RAPL (Intel, and AMD from Zen on; Linux' powercap): joules of each processor package and its
  memory. The counter is of the whole machine: whatever else runs is in it. Since 2020 most systems
  let only root read it (CVE-2020-8694).
- NVML (NVIDIA GPUs from Volta on): joules of each board since the driver was loaded.
- Neither: seconds of processor time x watts of a busy core.
"""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

POWERCAP = Path("/sys/class/powercap")
# Of a processor that is not in its table of thermal design powers, codecarbon assumes this a thread
# (codecarbon/core/cpu.py, DEFAULT_POWER_PER_CORE). Servers are near: an EPYC 9654 has 360 W for 96
# cores. Laptops take less, desktops more.
WATTS_PER_CORE = 4.0


class Meter(ABC):
    """Joules between `start` and `joules`."""

    source: str  # in words, for reports

    @abstractmethod
    def start(self) -> None: ...

    @abstractmethod
    def joules(self) -> float:
        """Since `start`."""


@dataclass(frozen=True)
class Zone:
    """One counter of RAPL."""

    folder: Path
    range_uj: int  # largest value; the next one is 0

    def read(self) -> int:
        return int((self.folder / "energy_uj").read_text())


class Rapl(Meter):
    """Packages and memory. One wrap of a counter is put right, two cannot be told from one: with
    the usual ranges of 65 kJ and more that takes minutes."""

    source = "RAPL"

    def __init__(self, zones: list[Zone]) -> None:
        self._zones = zones
        self._before: list[int] = []

    @classmethod
    def found(cls, root: Path = POWERCAP) -> Rapl | None:
        """None where there are no counters, or this user may not read them."""
        zones = list(_zones(root))
        return cls(zones) if zones else None

    def start(self) -> None:
        self._before = [zone.read() for zone in self._zones]

    def joules(self) -> float:
        pairs = zip(self._zones, self._before, strict=True)
        return sum((zone.read() - before) % (zone.range_uj + 1) for zone, before in pairs) / 1e6


def _zones(root: Path) -> Iterator[Zone]:
    """Packages and their memory; nothing twice.

    `psys` is the whole board and would hold them again, as `core` and `uncore` are held in their
    package; `intel-rapl-mmio` is a second door to the same package.
    """
    for folder in sorted(root.glob("intel-rapl:*")):
        try:
            name = (folder / "name").read_text().strip()
            zone = Zone(folder, int((folder / "max_energy_range_uj").read_text()))
            zone.read()
        except (OSError, ValueError):  # not readable, or switched off
            continue
        if name.startswith("package") or name == "dram":
            yield zone


class Nvml(Meter):
    """The GPU that torch would use first."""

    source = "NVML"

    def __init__(self, library: Any, board: Any) -> None:
        self._library, self._board = library, board
        self._before = 0

    @classmethod
    def found(cls) -> Nvml | None:
        """None without pynvml (package nvidia-ml-py), a driver, or a board with a counter."""
        try:
            import pynvml

            pynvml.nvmlInit()
            found = cls(pynvml, pynvml.nvmlDeviceGetHandleByIndex(0))
            found.start()
        except Exception:  # pynvml's errors share no base with ImportError; all mean: not here
            return None
        return found

    def _millijoules(self) -> int:
        return int(self._library.nvmlDeviceGetTotalEnergyConsumption(self._board))

    def start(self) -> None:
        self._before = self._millijoules()

    def joules(self) -> float:
        return (self._millijoules() - self._before) / 1e3


class Estimate(Meter):
    """Processor time of this process x assumed watts."""

    source = (
        f"estimate: seconds of processor time x {WATTS_PER_CORE:g} W a busy core "
        "(no energy counter can be read here)"
    )

    def start(self) -> None:
        self._before = time.process_time()  # all threads together

    def joules(self) -> float:
        return (time.process_time() - self._before) * WATTS_PER_CORE


def meter(*, on_gpu: bool = False, powercap: Path = POWERCAP) -> Meter:
    """The best source here. Of a GPU that cannot be read, the estimate covers the host alone."""
    if on_gpu:
        return Nvml.found() or GpuEstimate()
    return Rapl.found(powercap) or Estimate()


class GpuEstimate(Estimate):
    """The host's share alone, and says so."""

    source = Estimate.source + "; the GPU's energy is not in it: install nvidia-ml-py"
