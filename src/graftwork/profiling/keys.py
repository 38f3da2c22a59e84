"""Keys of stored profiles: everything that a figure depends on, and nothing else."""

from __future__ import annotations

from typing import Any

from graftwork.config.component_params import params_of
from graftwork.features.engines.base import FEATURES
from graftwork.features.engines.keys import digest, hardware
from graftwork.models.base import Model
from graftwork.process.cores import cores
from graftwork.process.installed import releases
from graftwork.profiling import COUNTING, MEASURING


def profile_key(model: Model, num_classes: int) -> str:
    """Key of what a network costs: its architecture, not its weights; versions."""
    return digest({**_network_facts(model, num_classes), "counting": COUNTING})


def speed_key(model: Model, num_classes: int, how: str) -> str:
    """Key of how fast a network is: likewise, and on which hardware.

    Args:
        how: it was measured: precision and the like.
    """
    where = {"hardware": hardware(), "cores": cores(), "how": how}
    facts = _network_facts(model, num_classes)
    return digest({**facts, **where, "measuring": MEASURING})


def _network_facts(model: Model, num_classes: int) -> dict[str, Any]:
    facts = params_of(model)
    for name in ("name", "weights"):
        del facts[name]
    if facts["cut_after"] is None:  # the keys of whole networks are older
        del facts["cut_after"]
    return {
        "model": facts,
        "num_classes": num_classes,
        "computes": [FEATURES, model.version],
        "versions": releases("torch", "timm"),
    }
