"""What an experiment took and what its network costs: `cost` of metrics.json."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from graftwork.model_folder import contents as model_folder
from graftwork.storage.artifacts import Artifacts
from graftwork.storage.files import read_json, read_receipt

STAGES = ("download", "prepare", "extract_features", "finetune")


def cost(
    artifacts: Artifacts,
    speed: float | None,
    begun: float,
    profile: Mapping[str, Any],
    measured: Mapping[str, Any],
) -> dict[str, Any]:
    """What the experiment took, stage by stage.

    Args:
        speed: test pictures/s, decoding included; None where the test is not looked at.
        begun: when evaluation started (perf_counter): its own seconds are those until now.
        profile: of the network, counted (graftwork.profiling.stored).
        measured: of the network on this machine (likewise).

    Returns:
        seconds by stage, images_per_second by use, peak_mib over all stages, parameters,
        trainable_parameters; of the network for one image: macs, activation_mib (the outputs of
        all layers in fp32), latency_ms, energy_mj_per_image, in words where that is from, and
        whether other programs kept the machine busy meanwhile.
    """
    from graftwork.recording.costs import Cost

    own = Cost.of_process(time.perf_counter() - begun).as_dict()
    spent = {stage: _cost(artifacts.cost(stage)) for stage in STAGES} | {"evaluate": own}
    spent = {stage: found for stage, found in spent.items() if found}
    extraction = read_made(artifacts.feature_receipt).get("images_per_second")
    contract = model_folder.read_contract(artifacts.model)
    everything, head = parameters(artifacts.model, contract)
    training = contract.training
    return {
        "seconds": {stage: found["seconds"] for stage, found in spent.items()},
        "images_per_second": ({"feature_extraction": extraction} if extraction else {})
        | ({"test": speed} if speed else {}),
        "peak_mib": max(found["peak_mib"] for found in spent.values()),
        "parameters": everything,
        # Without epochs, the head is all that was fitted.
        "trainable_parameters": training.get("trainable_parameters", head),
        "macs": profile["macs"] + macs_beyond(profile, artifacts.model),
        "activation_mib": profile["activation_mib"],
        "latency_ms": measured["latency_ms"],
        "energy_mj_per_image": measured["energy_mj_per_image"],
        "energy_source": measured["energy_source"],
        "machine": measured["machine"],
    }


def parameters(model: Path, contract: model_folder.Contract) -> tuple[int, int]:
    """How many parameters a model has, and how many of them its head.

    Statistics of BatchNorm stand among the tensors, but are no parameters.

    Raises:
        UserError: one of its files is damaged.
    """
    model_folder.check_whole(model, contract)
    backbone, head = (_count(model / name) for name in (model_folder.BACKBONE, model_folder.HEAD))
    return backbone + head, head


def macs_beyond(profile: Mapping[str, Any], model: Path) -> int:
    """Multiply-accumulates of the model's own head, beyond those of the one that was counted.

    A head that was fitted on stored features brings its own kind. Each number of its matrices, a
    bank of pictures among them, is multiplied once for a picture.
    """
    from safetensors import safe_open

    with safe_open(model / model_folder.HEAD, "numpy") as tensors:
        shapes = [tensors.get_slice(name).get_shape() for name in tensors.keys()]  # noqa: SIM118
    own = sum(math.prod(shape) for shape in shapes if len(shape) == 2)
    counted = (row for row in profile["layers"] if row["name"].partition(".")[0] == "head")
    return own - sum(row["macs"] for row in counted)


def _count(weights: Path) -> int:
    from safetensors import safe_open

    with safe_open(weights, "numpy") as tensors:
        return sum(
            math.prod(tensors.get_slice(name).get_shape())
            for name in tensors.keys()  # noqa: SIM118  (not a mapping)
            if not name.endswith(("running_mean", "running_var", "num_batches_tracked"))
        )


def _cost(path: Path) -> dict[str, Any]:
    return read_receipt(path, "What that stage took is left out.")


def read_made(path: Path) -> dict[str, Any]:
    """What an earlier stage wrote; empty where it has not. A damaged file is a mistake."""
    return read_json(path, "Run the stage that writes it again.") if path.is_file() else {}
