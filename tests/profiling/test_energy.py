from __future__ import annotations

import sys
import time
from pathlib import Path
from types import SimpleNamespace

import pytest

from graftwork.profiling.energy import WATTS_PER_CORE, Estimate, Nvml, Rapl, meter

RANGE = 262_143_328_850  # microjoules, as Intel's servers have it


def zone(root: Path, folder: str, name: str, microjoules: int) -> Path:
    place = root / folder
    place.mkdir(parents=True)
    (place / "name").write_text(f"{name}\n")
    (place / "max_energy_range_uj").write_text(f"{RANGE}\n")
    (place / "energy_uj").write_text(f"{microjoules}\n")
    return place


def test_rapl_adds_packages_and_memory_and_nothing_twice(tmp_path: Path) -> None:
    counted = [
        zone(tmp_path, "intel-rapl:0", "package-0", 1_000_000),
        zone(tmp_path, "intel-rapl:1", "package-1", 5_000_000),
        zone(tmp_path, "intel-rapl:0:1", "dram", 10),
    ]
    contained = [
        zone(tmp_path, "intel-rapl:0:0", "core", 7),
        zone(tmp_path, "intel-rapl:2", "psys", 7),
        zone(tmp_path, "intel-rapl-mmio:0", "package-0", 7),
    ]
    found = meter(powercap=tmp_path)
    assert found.source == "RAPL"
    found.start()
    for place in counted + contained:
        file = place / "energy_uj"
        file.write_text(str(int(file.read_text()) + 2_000_000))
    assert found.joules() == pytest.approx(6.0)


def test_a_counter_that_wraps_goes_on(tmp_path: Path) -> None:
    place = zone(tmp_path, "intel-rapl:0", "package-0", RANGE - 999_999)
    found = Rapl.found(tmp_path)
    assert found is not None
    found.start()
    (place / "energy_uj").write_text("1000000")
    assert found.joules() == pytest.approx(2.0)


@pytest.mark.parametrize("broken", ["energy_uj", "max_energy_range_uj", "name"])
def test_what_cannot_be_read_is_estimated_and_says_so(tmp_path: Path, broken: str) -> None:
    place = zone(tmp_path, "intel-rapl:0", "package-0", 1)
    (place / broken).unlink()
    (place / broken).mkdir()  # whoever runs the tests may be root, whom no mode keeps out
    found = meter(powercap=tmp_path)
    assert type(found) is Estimate
    assert found.source.startswith("estimate: ") and f"{WATTS_PER_CORE:g} W" in found.source


def test_the_estimate_is_processor_time_times_watts(monkeypatch: pytest.MonkeyPatch) -> None:
    now = iter((10.0, 12.5))
    monkeypatch.setattr(time, "process_time", lambda: next(now))
    estimate = Estimate()
    estimate.start()
    assert estimate.joules() == pytest.approx(2.5 * WATTS_PER_CORE)


def test_a_gpu_counts_millijoules(monkeypatch: pytest.MonkeyPatch) -> None:
    counter = iter((400, 5_000, 12_500))
    library = SimpleNamespace(
        nvmlInit=lambda: None,
        nvmlDeviceGetHandleByIndex=lambda index: index,
        nvmlDeviceGetTotalEnergyConsumption=lambda board: next(counter),
    )
    monkeypatch.setitem(sys.modules, "pynvml", library)
    found = meter(on_gpu=True)
    assert isinstance(found, Nvml) and found.source == "NVML"
    found.start()
    assert found.joules() == pytest.approx(7.5)


def test_a_gpu_without_a_counter_is_said_to_be_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pynvml", None)
    found = meter(on_gpu=True)
    assert found.source.startswith("estimate: ") and "nvidia-ml-py" in found.source
