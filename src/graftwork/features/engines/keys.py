"""Keys of what is stored: everything that a result depends on, and nothing else."""

from __future__ import annotations

import hashlib
import json
import platform
import sys
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from graftwork.config.component_params import params_of
from graftwork.experiment import Experiment
from graftwork.features.engines.backbone import receipt
from graftwork.models.base import Model
from graftwork.process.cores import cores
from graftwork.storage.artifacts import Artifacts
from graftwork.storage.files import sha256_of

NETWORK_LAYOUT = 2  # what lies in the folder of a network
PACKAGE = Path(__file__).parents[1]
COUNTING = ("groups", "layers", "profile", "receptive_field")  # modules of profiling
MEASURING = ("energy", "speed", "timing")


def digest(facts: object) -> str:
    """32 hexadecimal digits of the sha256 of the facts."""
    text = json.dumps(facts, sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def network_key(experiment: Experiment, artifacts: Artifacts) -> str:
    """Key of a frozen backbone: architecture, weights, pooling, input size, code, libraries."""
    model = experiment.model
    facts = params_of(model)
    for name in ("name", "head", "weights", "auxiliary_weight"):
        del facts[name]
    weights = receipt(experiment, artifacts)
    return digest(
        {
            "layout": NETWORK_LAYOUT,
            "model": facts,
            "key_map": weights and model.weights and model.weights.key_map,
            "weights": weights["sha256"] if weights else f"random, seed {experiment.seed}",
            "batch_size": experiment.extraction.batch_size,
            "code": _code(type(model).__module__),
            "versions": _versions("torch", "timm", "openvino"),
        }
    )


def feature_key(network: str, engine: str, precision: str, experiment: Experiment) -> str:
    """Key of a feature store: the network, how it runs, and how pictures are prepared."""
    return digest(
        {
            "network": network,
            "engine": engine,
            "precision": precision,
            "decoded_side": experiment.dataset.decoded_side,
            "code": [sha256_of(path) for path in sorted(PACKAGE.glob("images/**/*.py"))],
            "versions": _versions("opencv-python-headless", "pillow"),
        }
    )


def verdict_key(experiment: Experiment) -> str:
    """Key of the choice of an engine: what was asked for, and the hardware."""
    extraction = experiment.extraction
    return digest(
        {
            "engine": extraction.engine,
            "precision": extraction.precision,
            "min_cosine": extraction.min_cosine,
            "hardware": hardware(),
        }
    )


def profile_key(model: Model, num_classes: int) -> str:
    """Key of what a network costs: its architecture, not its weights; code, libraries."""
    return digest({**_network_facts(model, num_classes), "code": _profiling(*COUNTING)})


def speed_key(model: Model, num_classes: int, how: str) -> str:
    """Key of how fast a network is: likewise, and on which hardware.

    Args:
        how: it was measured: precision and the like.
    """
    where = {"hardware": hardware(), "cores": cores(), "how": how}
    facts = _network_facts(model, num_classes)
    return digest({**facts, **where, "code": _profiling(*MEASURING)})


def _network_facts(model: Model, num_classes: int) -> dict[str, Any]:
    facts = params_of(model)
    for name in ("name", "weights"):
        del facts[name]
    return {
        "model": facts,
        "num_classes": num_classes,
        "network": _code(type(model).__module__),
        "versions": _versions("torch", "timm"),
    }


def _profiling(*modules: str) -> list[str]:
    return [sha256_of(PACKAGE / "profiling" / f"{name}.py") for name in modules]


@cache
def hardware() -> tuple[str, ...]:
    """Names of the CPU and of NVIDIA GPUs, without importing a library that knows."""
    names = [platform.machine(), platform.processor()]
    cpus = Path("/proc/cpuinfo")
    if cpus.is_file():
        wanted = ("model name", "flags", "Features")
        lines = cpus.read_text().splitlines()
        names += sorted({line for line in lines if line.startswith(wanted)})
    for gpu in sorted(Path("/proc/driver/nvidia/gpus").glob("*/information")):
        names.append(gpu.read_text().partition("IRQ")[0])
    return tuple(names)


@cache
def _code(module: str) -> list[str]:
    """Hashes of the code that a backbone is made of: an edited backbone is another one."""
    paths = [PACKAGE / "classifier.py", PACKAGE / "pooling.py"]
    paths += sorted((PACKAGE / "models").rglob("*.py"))
    paths += sorted((PACKAGE / "engines").glob("*_engine.py"))
    own = getattr(sys.modules[module], "__file__", None)
    return [sha256_of(path) for path in [*paths, *([Path(own)] if own else [])]]


@cache
def _versions(*names: str) -> dict[str, Any]:
    return {name: _version(name) for name in names}


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None
