"""What timm asks of a network, once for all backbones of this project's own."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from timm.layers.adaptive_avgmax_pool import SelectAdaptivePool2d
from timm.models import checkpoint
from torch import nn


class Checkpointed:
    """Gradient checkpointing (Chen et al. 2016), by timm's names."""

    grad_checkpointing = False

    def set_grad_checkpointing(self, enable: bool = True) -> None:
        """Keeps only what goes into each layer that `through` runs; its inside is computed again
        in the backward pass."""
        self.grad_checkpointing = enable

    def through(self, layers: Iterable[nn.Module], x: torch.Tensor) -> torch.Tensor:
        """One layer after the other."""
        for layer in layers:
            x = checkpoint(layer, x) if self.grad_checkpointing else layer(x)
        return x


class OwnBackbone(Checkpointed, nn.Module):
    """Maps, pooling over all positions, and one affine classifier.

    A network brings `num_features`, `feature_info`, `group_matcher` and `forward_features`, and
    calls `reset_classifier(num_classes, global_pool)` once. What ends differently overrides
    `set_pooling`, `new_classifier` or `forward_head`.

    Attributes:
        num_features: channels of the last maps.
        head_hidden_size: how many numbers the classifier reads.
        classifier_name: the attribute that holds the classifier, as weights files name it.
    """

    num_features: int
    head_hidden_size: int
    num_classes: int
    classifier_name = "fc"

    def set_pooling(self, kind: str) -> None:
        """timm's words: `avg`, `max`, `avgmax`, `catavgmax`, or nothing to keep the positions."""
        self.global_pool = SelectAdaptivePool2d(pool_type=kind, flatten=bool(kind))
        self.head_hidden_size = self.num_features * self.global_pool.feat_mult()

    def new_classifier(self, num_classes: int) -> nn.Module:
        """With random weights."""
        return nn.Linear(self.head_hidden_size, num_classes)

    def get_classifier(self) -> nn.Module:
        return self.get_submodule(self.classifier_name)

    def reset_classifier(self, num_classes: int, global_pool: str | None = None) -> None:
        """A new classifier; 0: none. The pooling stays unless another one is named."""
        self.num_classes = num_classes
        if global_pool is not None:
            self.set_pooling(global_pool)
        new = self.new_classifier(num_classes) if num_classes else nn.Identity()
        setattr(self, self.classifier_name, new)

    def forward_features(self, x: torch.Tensor) -> torch.Tensor:
        """`[B, C, H, W]` to the last maps, `[B, num_features, h, w]`."""
        raise NotImplementedError

    def forward_head(self, x: torch.Tensor, pre_logits: bool = False) -> torch.Tensor:
        """The last maps to logits, or to what the classifier would read."""
        x = self.global_pool(x)
        return x if pre_logits else self.get_classifier()(x)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.forward_head(self.forward_features(x))
