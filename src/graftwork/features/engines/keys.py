"""Keys of what is stored: everything that a result depends on, and nothing else.

The code counts by the version that it declares, not by its text: a comment changes no feature.
tests/features/engines/test_declared_versions.py fails when results change and the version does not.
"""

from __future__ import annotations

import hashlib
import json
import platform
from functools import cache
from pathlib import Path

from graftwork.config.component_params import params_of
from graftwork.data.images import POLICY, VIEW
from graftwork.experiment import Experiment
from graftwork.features.engines.backbone import receipt
from graftwork.features.engines.base import FEATURES
from graftwork.models.base import MAPS
from graftwork.process.installed import releases
from graftwork.storage.artifacts import Artifacts

NETWORK_LAYOUT = 2  # what lies in the folder of a network


def digest(facts: object) -> str:
    """32 hexadecimal digits of the sha256 of the facts."""
    text = json.dumps(facts, sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def network_key(experiment: Experiment, artifacts: Artifacts) -> str:
    """Key of a frozen backbone: architecture, weights, pooling, input size, versions."""
    model = experiment.model
    facts = params_of(model)
    for name in ("name", "head", "weights", "auxiliary_weight"):
        del facts[name]
    if facts["cut_after"] is None:  # the keys of whole networks are older
        del facts["cut_after"]
    if model.head.reads_maps:  # what is stored is then their mean, whatever the pooling
        facts["pooling"] = MAPS
    weights = receipt(experiment, artifacts)
    return digest(
        {
            "layout": NETWORK_LAYOUT,
            "model": facts,
            "key_map": weights and experiment.transfer.start.key_map_of(model),
            "weights": weights["sha256"] if weights else f"random, seed {experiment.seed}",
            "batch_size": experiment.extraction.batch_size,
            "computes": [FEATURES, model.version],
            "versions": releases("torch", "timm", "openvino"),
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
            "prepares": [POLICY, VIEW],
            "versions": releases("opencv-python-headless", "pillow", "simplejpeg"),
        }
    )


def verdict_key(engine: str, precision: str, min_cosine: float) -> str:
    """Key of the choice of an engine: what was asked for, and the hardware."""
    return digest(
        {
            "engine": engine,
            "precision": precision,
            "min_cosine": min_cosine,
            "hardware": hardware(),
        }
    )


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
