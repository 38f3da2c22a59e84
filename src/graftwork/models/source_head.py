"""The classifier that a backbone was pretrained with, where its file still has it."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING

from graftwork.config.errors import UserError
from graftwork.models.key_maps import KEY_MAPS
from graftwork.models.weights import classifier_names, read_tensors

if TYPE_CHECKING:
    from torch import nn

    from graftwork.models.base import WeightsFile
    from graftwork.models.network.classifier import Classifier
    from graftwork.models.network.layer_groups import Backbone

TOLERANCE = 1e-3  # of the largest logit


def source_head(backbone: Backbone, weights: WeightsFile) -> nn.Module:
    """A copy of the backbone's own classifier, filled from its file; it may have any number of
    classes.

    Raises:
        UserError: the file has none, or one that is no single module.
    """
    from torch import nn

    mapped = KEY_MAPS[weights.key_map](
        read_tensors(weights.path, weights.key), backbone.state_dict()
    )
    names = classifier_names(backbone)
    if not names or not names <= set(mapped):
        raise no_head(weights, "holds no classifier")
    rows = {mapped[name].shape[0] for name in names}
    if len(rows) == 1:
        backbone.reset_classifier(rows.pop())
    expected = backbone.state_dict()
    if any(expected[name].shape != mapped[name].shape for name in names):
        raise no_head(weights, "holds a classifier of another shape")
    backbone.load_state_dict({name: mapped[name] for name in names}, strict=False)
    head = backbone.get_classifier()
    if not isinstance(head, nn.Module):
        raise no_head(weights, "holds more than one classifier")
    return copy.deepcopy(head)


def check_reads_features(backbone: Backbone, network: Classifier, weights: WeightsFile) -> None:
    """Raises UserError unless the head gives the backbone's own logits from the features that this
    pooling gives.

    Args:
        backbone: with its own classifier.
        network: the same backbone, the chosen pooling, and that classifier as head.
    """
    import torch

    spec = network.input_spec
    noise = torch.randn(
        2, spec.channels, spec.size, spec.size, generator=torch.Generator().manual_seed(0)
    )
    with torch.no_grad():
        expected = backbone.eval()(noise)
        try:
            found = network.eval()(noise)
        except RuntimeError:  # of another width
            found = None
    if found is None or not torch.allclose(
        found, expected, atol=TOLERANCE * float(expected.abs().max())
    ):
        raise no_head(
            weights, "holds a classifier that reads other features", "model.pooling=default"
        )


def no_head(weights: WeightsFile, what: str, instead: str = "") -> UserError:
    """The error for weights whose source task is not there to be kept."""
    remedy = f"{instead}, or " if instead else ""
    return UserError(
        f"{weights.key}: {weights.path.name} {what}, and without it there are no answers "
        f"of the source task. Choose {remedy}another model, or a strategy that needs no source "
        "classifier (transfer=fine_tune, l2_sp)."
    )
