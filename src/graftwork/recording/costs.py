"""Honest cost: what a stage took, measured by the operating system."""

from __future__ import annotations

import resource
import sys
from dataclasses import asdict, dataclass


@dataclass(frozen=True)
class Cost:
    """What one stage took on this machine."""

    seconds: float  # wall clock, imports of the stage's own libraries included
    peak_mib: float  # largest resident memory of the process so far, MiB

    @classmethod
    def of_process(cls, seconds: float) -> Cost:
        """The cost of this process until now."""
        own = resource.getrusage(resource.RUSAGE_SELF)
        children = resource.getrusage(resource.RUSAGE_CHILDREN)
        unit = 2**20 if sys.platform == "darwin" else 2**10  # bytes there, KiB on Linux
        return cls(seconds, max(own.ru_maxrss, children.ru_maxrss) / unit)

    def as_dict(self) -> dict[str, float]:
        return asdict(self)
