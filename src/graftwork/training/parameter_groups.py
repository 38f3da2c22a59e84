"""The optimiser's groups: which parameters learn at which rate, and which of them decay."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from typing import TYPE_CHECKING, Any

import torch

from graftwork.training.sharding import whole

if TYPE_CHECKING:
    from graftwork.models.network.classifier import Classifier
    from graftwork.transfer.strategy import Transfer


def parameter_groups(
    classifier: Classifier,
    transfer: Transfer,
    factor: float = 1.0,
    further: Sequence[torch.nn.Parameter] = (),
    covered: Collection[str] = (),
) -> Iterator[dict[str, Any]]:
    """The optimiser's groups, head first: one rate a layer group, or a tensor where rates follow
    from the weights; biases, normalisation and what the backbone's authors exempt are not decayed.

    Args:
        factor: of all rates.
        further: parameters that are as new as the head, and learn at its rate.
        covered: names of parameters that a penalty holds in the place of weight decay.
    """
    exempt = classifier.no_weight_decay().union(covered)
    for depth, group in enumerate(reversed(classifier.layer_groups())):
        named = classifier.named_of(group)
        named += [("", parameter) for parameter in further] if depth == 0 else []
        members: dict[tuple[float, bool], list[torch.nn.Parameter]] = {}
        for name, parameter in named:
            decayed = parameter.ndim > 1 and name not in exempt
            rate = factor * transfer.rates.of(depth, root_mean_square(parameter))
            members.setdefault((rate, decayed), []).append(parameter)
        for (rate, decayed), parameters in members.items():
            decay = transfer.optimiser.weight_decay if decayed else 0.0
            yield {"params": parameters, "lr": rate, "weight_decay": decay}


def root_mean_square(parameter: torch.Tensor) -> float:
    """The size of a tensor's values; 0 on the meta device, where there are none."""
    if parameter.is_meta:
        return 0.0
    return float(whole(parameter.detach()).float().square().mean().sqrt())
