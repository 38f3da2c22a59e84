from __future__ import annotations

from pathlib import Path

import pytest

from graftwork.models.precision import chosen, cpu_multiplies_bf16


@pytest.mark.parametrize(
    ("flags", "expected"),
    [
        ("flags\t\t: fpu avx512_bf16 sse", True),
        ("flags\t\t: fpu amx_bf16", True),
        ("flags\t\t: fpu avx512f avx2", False),
        ("flags\t\t: fpu notavx512_bf16", False),
        ("", False),
    ],
)
def test_bf16_counts_where_the_hardware_multiplies_it(
    flags: str, expected: bool, tmp_path: Path
) -> None:
    cpuinfo = tmp_path / "cpuinfo"
    cpuinfo.write_text(f"processor : 0\n{flags}\n")
    assert cpu_multiplies_bf16(cpuinfo) is expected


def test_an_unknown_machine_computes_in_fp32(tmp_path: Path) -> None:
    assert not cpu_multiplies_bf16(tmp_path / "absent")


@pytest.mark.parametrize("fast", [True, False])
def test_what_is_asked_for_is_done_and_auto_asks_the_hardware(
    fast: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("graftwork.models.precision.cpu_multiplies_bf16", lambda: fast)
    assert chosen("auto", on_gpu=False) == ("bf16" if fast else "fp32")
    assert chosen("fp32", on_gpu=False) == "fp32"
    assert chosen("bf16", on_gpu=False) == "bf16"


@pytest.mark.parametrize("fast", [True, False])
def test_auto_on_a_gpu_asks_the_gpu(fast: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    import torch

    asked = {}

    def supported(**options: bool) -> bool:
        asked.update(options)
        return fast

    monkeypatch.setattr(torch.cuda, "is_bf16_supported", supported)
    assert chosen("auto", on_gpu=True) == ("bf16" if fast else "fp32")
    assert asked == {"including_emulation": False}
