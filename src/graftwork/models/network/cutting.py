"""A backbone that ends early: the first layer groups, and nothing behind them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import fx, nn

from graftwork.config.errors import UserError, unknown
from graftwork.models.network.layer_groups import Backbone, backbone_groups
from graftwork.models.network.pooling import Pooling
from graftwork.models.network.splitting import Unsplittable, first_steps


class CutBackbone(nn.Module):
    """Layers of a backbone under the names they had there, with timm's interface.

    Attributes:
        group_names: of its layer groups, as in the whole network.
    """

    def __init__(
        self, backbone: Backbone, trunk: fx.GraphModule, group_names: Sequence[str]
    ) -> None:
        super().__init__()
        self.group_names = tuple(group_names)
        for name, layer in trunk.named_children():
            self.add_module(name, layer)
        for name, parameter in trunk.named_parameters(recurse=False):
            self.register_parameter(name, parameter)
        for name, buffer in trunk.named_buffers(recurse=False):
            self.register_buffer(name, buffer)
        # Without the module whose method it is: that one would hold each layer a second time.
        self._steps = type(trunk).forward
        self.pretrained_cfg = backbone.pretrained_cfg
        self.output_fmt = getattr(backbone, "output_fmt", "NCHW")
        self.num_prefix_tokens = getattr(backbone, "num_prefix_tokens", 0)
        self._exempt: set[str] = getattr(backbone, "no_weight_decay", set)()
        self._matchers = {coarse: _matcher(backbone, coarse) for coarse in (True, False)}

    def forward_features(self, x: torch.Tensor) -> torch.Tensor:
        """`[B, C, H, W]` to the maps or tokens of the last group that is left."""
        return self._steps(self, x)

    def forward_head(self, x: torch.Tensor, pre_logits: bool = False) -> torch.Tensor:
        """The mean over positions: whatever stood here belongs to layers that are gone."""
        nhwc = self.output_fmt == "NHWC"
        return Pooling("avg", channels_last=nhwc, prefix_tokens=self.num_prefix_tokens)(x)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.forward_head(self.forward_features(x))

    def group_matcher(self, coarse: bool = False) -> Any:
        """Raises AttributeError where the backbone has none."""
        if (found := self._matchers[coarse]) is None:
            raise AttributeError("group_matcher")
        return found

    def no_weight_decay(self) -> set[str]:
        return self._exempt & {name for name, _ in self.named_parameters()}


def _matcher(backbone: Backbone, coarse: bool) -> Any:
    try:
        return backbone.group_matcher(coarse=coarse)
    except (AttributeError, AssertionError):
        return None


def cut(backbone: Backbone, last: str) -> CutBackbone:
    """The backbone up to a layer group.

    Args:
        last: name of the last group that is kept, or how many are kept.

    Raises:
        UserError: there is no such group, or the network cannot be parted there.
    """
    groups = backbone_groups(backbone, frozenset())
    names = [group.name for group in groups]
    kept = _count(last, names)
    gone = {name for group in groups[kept:] for name in group.parameters}
    asked = {name: p.requires_grad for name, p in backbone.named_parameters()}
    was_training = backbone.training
    try:
        for name, parameter in backbone.named_parameters():
            parameter.requires_grad_(f"backbone.{name}" in gone)
        trunk = first_steps(backbone.eval())
    except Unsplittable as reason:
        raise UserError(
            f"model.cut_after: {last}, but this network cannot be parted there: {reason}. Choose "
            "another group, or leave it null."
        ) from reason
    finally:
        backbone.train(was_training)
        for name, parameter in backbone.named_parameters():
            parameter.requires_grad_(asked[name])
    return CutBackbone(backbone, trunk, names[:kept]).train(was_training)


def _count(last: str, names: list[str]) -> int:
    """How many groups are kept."""
    if not last.isdecimal():
        if last not in names:
            raise unknown("model.cut_after", last, names)
        return names.index(last) + 1
    if not 1 <= int(last) <= len(names):
        raise UserError(
            f"model.cut_after: {last} is out of bounds. Legal: 1 to {len(names)} (all of the "
            f"backbone), or a name: {', '.join(names)}."
        )
    return int(last)
