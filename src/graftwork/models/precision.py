"""Which arithmetic the hardware does well."""

from __future__ import annotations

from functools import cache
from pathlib import Path

BF16_FLAGS = ("amx_bf16", "avx512_bf16")  # x86: bf16 products in hardware, not emulated


def chosen(precision: str, on_gpu: bool) -> str:
    """`fp32` or `bf16` for a setting of `auto`, `fp32` or `bf16`. Never measured, so that the
    same machine always gives the same weights."""
    if precision != "auto":
        return precision
    if on_gpu:
        import torch

        # Emulated bf16 (before Ampere) is slower than fp32.
        return "bf16" if torch.cuda.is_bf16_supported(including_emulation=False) else "fp32"
    return "bf16" if cpu_multiplies_bf16() else "fp32"


@cache
def cpu_multiplies_bf16(cpuinfo: Path = Path("/proc/cpuinfo")) -> bool:
    """Whether this CPU has bf16 products in hardware. Needs no torch; False where unknown."""
    try:
        text = cpuinfo.read_text()
    except OSError:
        return False
    flags = next((line for line in text.splitlines() if line.startswith(("flags", "Features"))), "")
    return any(flag in flags.split() for flag in BF16_FLAGS)
