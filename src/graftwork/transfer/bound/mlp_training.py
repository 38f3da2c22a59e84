"""The training of a head on stored features."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

from graftwork.transfer.choosing import MANY
from graftwork.transfer.probe_space import scale_of

if TYPE_CHECKING:
    from graftwork.transfer.mlp import TrainedMlp
    from graftwork.transfer.parts import Examples


def trained(part: TrainedMlp, examples: Examples) -> list[dict[str, np.ndarray]]:
    """The head after each of the numbers of epochs, the smallest first.

    Features are standardised for the training; its tensors take them as they are stored.
    """
    features = examples.features
    scale, mean = scale_of(features, part.standardise)
    scale = scale * np.sqrt(features.shape[1])  # a feature then varies by about 1
    rows = torch.from_numpy(((features - mean) * scale).astype(np.float32))
    targets = torch.from_numpy(examples.labels.astype(np.int64))
    before = torch.get_num_threads()
    try:
        if features.size < MANY:
            torch.set_num_threads(1)  # as in choosing.few_threads
        with torch.random.fork_rng(devices=[]), torch.enable_grad():
            torch.manual_seed(examples.seed)
            module = part.head.build(features.shape[1], examples.num_classes)
            return _checkpoints(part, module, rows, targets, scale, mean)
    finally:
        torch.set_num_threads(before)


def _checkpoints(
    part: TrainedMlp,
    module: nn.Module,
    rows: torch.Tensor,
    targets: torch.Tensor,
    scale: np.ndarray,
    mean: np.ndarray,
) -> list[dict[str, np.ndarray]]:
    matrices = [p for p in module.parameters() if p.ndim > 1]
    others = [p for p in module.parameters() if p.ndim <= 1]
    groups: list[dict[str, Any]] = [{"params": matrices}, {"params": others, "weight_decay": 0.0}]
    optimiser = torch.optim.AdamW(
        groups,
        lr=part.lr, weight_decay=part.weight_decay, fused=True,
    )  # fmt: skip
    wanted, found = sorted(set(part.epochs)), []
    for epoch in range(1, wanted[-1] + 1):
        for batch in torch.randperm(len(rows)).split(part.batch_size):
            optimiser.zero_grad()
            F.cross_entropy(module(rows[batch]), targets[batch]).backward()
            optimiser.step()
        if epoch in wanted:
            found.append(_for_stored(module, scale, mean))
    return found


def _for_stored(module: nn.Module, scale: np.ndarray, mean: np.ndarray) -> dict[str, np.ndarray]:
    """A copy of the tensors, for features that are not standardised."""
    tensors = {name: tensor.numpy().copy() for name, tensor in module.state_dict().items()}
    weight = tensors["hidden.weight"].astype(np.float64) * scale
    bias = tensors["hidden.bias"] - weight @ mean
    tensors["hidden.weight"], tensors["hidden.bias"] = (
        np.asarray(found, np.float32) for found in (weight, bias)
    )
    return tensors
