"""Which arithmetic a training step uses, and where bf16 would only cost time."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import nn

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


def keep_depthwise_fp32(network: nn.Module) -> int:
    """Depthwise convolutions leave autocast on the CPU. Returns how many there are.

    They are bound by memory, and oneDNN's backward pass for them in bf16 is four to five times
    slower than in fp32. Dense and pointwise convolutions keep bf16.
    """
    from torch import nn

    found = [
        module
        for module in network.modules()
        if isinstance(module, nn.Conv2d) and 1 < module.groups == module.in_channels
    ]
    for module in found:
        module.forward = _in_fp32(module.forward)  # type: ignore[method-assign]
    return len(found)


def restore_depthwise(network: nn.Module) -> None:
    """Undoes `keep_depthwise_fp32`."""
    for module in network.modules():
        if getattr(module.__dict__.get("forward"), "in_fp32", False):
            del module.forward


def _in_fp32(forward: Any) -> Any:
    import torch

    def without_autocast(images: torch.Tensor) -> torch.Tensor:
        with torch.autocast(images.device.type, enabled=False):
            return forward(images.float())

    without_autocast.in_fp32 = True  # type: ignore[attr-defined]
    return without_autocast
