"""Blocks of GoogLeNet: the inception module and its naive form.

Szegedy et al. 2014, "Going deeper with convolutions", figures 2 and 3. Their module names are
torchvision's, so that its state dicts fit.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import nn


class Convolution(nn.Module):
    """Convolution and ReLU; between them BatchNorm, or none and a bias, as in the paper.

    The side stays what it is at stride 1.
    """

    def __init__(
        self, before: int, after: int, kernel: int, stride: int = 1, *, batch_norm: bool = True
    ) -> None:
        super().__init__()
        self.conv = nn.Conv2d(before, after, kernel, stride, kernel // 2, bias=not batch_norm)
        self.bn = nn.BatchNorm2d(after, eps=0.001) if batch_norm else nn.Identity()
        self.act = nn.ReLU(inplace=True)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.act(self.bn(self.conv(x)))


class Widths(NamedTuple):
    """Channels of an inception module, in the order of the paper's table 1."""

    one: int  # 1x1
    reduce3: int  # 1x1 before the 3x3
    three: int  # 3x3
    reduce5: int  # 1x1 before the 5x5
    five: int  # 5x5
    pool: int  # 1x1 after the pooling


class Inception(nn.Module):
    """Four branches side by side, the dear ones behind 1x1 bottlenecks.

    Args:
        in_channels: of `[B, in_channels, H, W]`; `[B, out_channels, H, W]` comes out.
        widths: of the branches.
        kernel_5x5: 5 in the paper. torchvision's branch of that name convolves 3x3, and so do the
            weights that it publishes.
    """

    def __init__(
        self, in_channels: int, widths: Widths, *, batch_norm: bool = True, kernel_5x5: int = 3
    ) -> None:
        super().__init__()
        one, reduce3, three, reduce5, five, pool = widths
        self.out_channels = one + three + five + pool

        def convolution(before: int, after: int, kernel: int) -> Convolution:
            return Convolution(before, after, kernel, batch_norm=batch_norm)

        self.branch1 = convolution(in_channels, one, 1)
        self.branch2 = nn.Sequential(
            convolution(in_channels, reduce3, 1), convolution(reduce3, three, 3)
        )
        self.branch3 = nn.Sequential(
            convolution(in_channels, reduce5, 1), convolution(reduce5, five, kernel_5x5)
        )
        self.branch4 = nn.Sequential(
            nn.MaxPool2d(3, stride=1, padding=1), convolution(in_channels, pool, 1)
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.cat([self.branch1(x), self.branch2(x), self.branch3(x), self.branch4(x)], 1)


class NaiveInception(nn.Module):
    """The module without bottlenecks: every branch reads all channels, and the pooled ones pass.

    So its output is always wider than its input (figure 2a of the paper).

    Args:
        in_channels: of `[B, in_channels, H, W]`; `[B, out_channels, H, W]` comes out.
        one, three, five: channels of the 1x1, 3x3 and 5x5 convolution.
    """

    def __init__(
        self,
        in_channels: int,
        one: int,
        three: int,
        five: int,
        *,
        batch_norm: bool = True,
        kernel_5x5: int = 5,
    ) -> None:
        super().__init__()
        self.out_channels = one + three + five + in_channels
        self.branch1 = Convolution(in_channels, one, 1, batch_norm=batch_norm)
        self.branch2 = Convolution(in_channels, three, 3, batch_norm=batch_norm)
        self.branch3 = Convolution(in_channels, five, kernel_5x5, batch_norm=batch_norm)
        self.branch4 = nn.MaxPool2d(3, stride=1, padding=1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.cat([self.branch1(x), self.branch2(x), self.branch3(x), self.branch4(x)], 1)
