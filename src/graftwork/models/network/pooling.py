"""Pooling: feature maps or tokens to one vector per picture."""

from __future__ import annotations

import math

import torch
from torch import nn

from graftwork.config.errors import UserError


class Pooling(nn.Module):
    """The chosen pooling over whatever layout the backbone speaks.

    Args:
        kind: `avg`, `max`, `avgmax` (the mean of both), `flatten` (every position side by side),
            `default` (what the backbone itself does, its own last layers included) or `maps`
            (nothing: every position for a head that reads them).
        channels_last: whether maps come as `[B, H, W, C]` (Swin) instead of `[B, C, H, W]`.
        prefix_tokens: class and register tokens, which a pooling over positions leaves out.
    """

    def __init__(self, kind: str, *, channels_last: bool = False, prefix_tokens: int = 0) -> None:
        super().__init__()
        self.kind = kind
        self.channels_last = channels_last
        self.prefix_tokens = prefix_tokens

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """`[B, C, H, W]`, `[B, H, W, C]`, `[B, tokens, C]` or `[B, C]` to `[B, num_features]`, or
        maps `[B, C, H, W]`."""
        if self.kind == "maps":
            return self._maps(features)
        if features.ndim == 2:
            return features
        if features.ndim == 3:
            features = features[:, self.prefix_tokens :]
            positions: tuple[int, ...] = (1,)
        else:
            positions = (1, 2) if self.channels_last else (2, 3)
        if self.kind == "avg":
            return features.mean(positions)
        if self.kind == "max":
            return features.amax(positions)
        if self.kind == "avgmax":
            return 0.5 * (features.mean(positions) + features.amax(positions))
        assert self.kind == "flatten", self.kind
        return features.flatten(1)

    def _maps(self, features: torch.Tensor) -> torch.Tensor:
        """`[B, C, H, W]`; tokens are those of a square picture."""
        if features.ndim == 3:
            tokens = features[:, self.prefix_tokens :]
            side = math.isqrt(tokens.shape[1])
            return tokens.transpose(1, 2).unflatten(2, (side, side))
        if features.ndim == 2:
            raise UserError(
                "model.head: reads maps, and this backbone gives none. Choose model/head=linear."
            )
        return features.movedim(-1, 1) if self.channels_last else features

    def extra_repr(self) -> str:
        return self.kind
