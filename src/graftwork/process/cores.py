"""How many cores this process may use."""

from __future__ import annotations

import os

SHARE = "GRAFTWORK_CORES"  # environment: of a process that shares the machine with its like


def cores() -> int:
    """Cores that the operating system, and whoever started it, let this process run on."""
    if hasattr(os, "sched_getaffinity"):
        known = len(os.sched_getaffinity(0))
    else:
        known = os.cpu_count() or 1
    return min(known, int(os.environ.get(SHARE) or known))
