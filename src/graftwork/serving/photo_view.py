"""What evaluation sees of a photo, made inside a network: resizing and cropping as two products.

Every way of resizing along one axis is a matrix, and so is cropping. The matrices are made of the
photo's size by comparisons and arithmetic alone, so that any runtime that multiplies can do it, and
none brings its own idea of what "bilinear" means. They do what `graftwork.data.images` does in two
steps (a photo is fitted to `decoded_side`, then its centre is resized to what the network wants):
halve while twice too large, then interpolate.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import nn

from graftwork.model_folder.contents import Contract

CUBIC = -0.75  # OpenCV's; of lanczos, which enlarges alone, bicubic takes the place
HALVINGS = 12  # at most so many, from 900,000 px to 224
STEP = 2048  # OpenCV rounds weights of bytes to so many parts


@dataclass(frozen=True)
class Axis:
    """What is read along one axis of a picture; tensors of no axes."""

    begin: torch.Tensor  # px: where it begins
    length: torch.Tensor  # px that are read
    halves: torch.Tensor  # px that become one: a power of two
    wanted: torch.Tensor  # px that it becomes
    grows: torch.Tensor  # whether `wanted` is more


class PhotoView(nn.Module):
    """uint8 RGB photos `[B, H, W, 3]` of one size to the pixels that evaluation would see.

    Args:
        contract: of the model folder.
    """

    _second: torch.Tensor

    def __init__(self, contract: Contract) -> None:
        super().__init__()
        spec = contract.input_spec
        self.size, self.crop, self.interpolation = spec.size, spec.crop_pct, spec.interpolation
        self.side = contract.preprocessing.decoded_side
        self.cropped = min(max(round(self.side * self.crop), 1), self.side)
        self.register_buffer("_second", self._constant_step(), persistent=False)

    def forward(self, photos: torch.Tensor) -> torch.Tensor:
        """Returns float32 `[B, 3, S, S]`, whole numbers from 0 to 255."""
        rows = torch.ones_like(photos[0, :, 0, 0], dtype=torch.float32)
        columns = torch.ones_like(photos[0, 0, :, 0], dtype=torch.float32)
        height, width = rows.sum(), columns.sum()
        down, across = self.matrices(rows, height, width), self.matrices(columns, width, height)
        pixels = photos.permute(0, 3, 1, 2).float()
        seen = torch.matmul(torch.matmul(down, pixels), across.transpose(0, 1))
        return seen.round().clamp(0, 255)

    def matrices(
        self, ones: torch.Tensor, length: torch.Tensor, other: torch.Tensor
    ) -> torch.Tensor:
        """`[S, length]`: what becomes of one axis.

        Args:
            ones: `[length]`.
            other: px of the other axis.
        """
        position = ones.cumsum(0) - 1
        shorter = torch.minimum(length, other)
        fitted = self._second @ self._fitted(position, length, shorter, other)
        return torch.where(shorter > self.side, fitted, self._taken(position, length, shorter))

    def _fitted(
        self,
        position: torch.Tensor,
        length: torch.Tensor,
        shorter: torch.Tensor,
        other: torch.Tensor,
    ) -> torch.Tensor:
        """`[cropped, length]`: the centre of a photo that is fitted to `side` first."""
        wanted = (length * self.side / shorter).round()
        beside = (other * self.side / shorter).round()
        halves = _halves(lambda times: (length >= times * wanted) & (other >= times * beside))
        offset = ((wanted - self.cropped) / 2).floor()
        nothing = torch.zeros_like(length)
        axis = Axis(nothing, length, halves, wanted, nothing > 0)
        return self._weights(position, offset, self.cropped, axis, "bilinear")

    def _taken(
        self, position: torch.Tensor, length: torch.Tensor, shorter: torch.Tensor
    ) -> torch.Tensor:
        """`[S, length]`: the centre of a photo that is small enough to be seen as it is."""
        crop = (shorter * self.crop).round().clamp(min=1)
        crop = torch.minimum(crop, shorter)
        begin = ((length - crop) / 2).floor()
        halves = _halves(lambda times: crop >= times * self.size)
        wanted = torch.full_like(crop, self.size)
        axis = Axis(begin, crop, halves, wanted, crop < self.size)
        return self._weights(position, torch.zeros_like(crop), self.size, axis, self.interpolation)

    def _constant_step(self) -> torch.Tensor:
        """`[S, cropped]`: the same of the centre of a photo that was fitted."""
        count = torch.tensor(float(self.cropped))
        whole = Axis(
            torch.zeros(()),
            count,
            _halves(lambda times: count >= times * self.size),
            torch.tensor(float(self.size)),
            count < self.size,
        )
        position = torch.arange(self.cropped, dtype=torch.float32)
        return self._weights(position, torch.zeros(()), self.size, whole, self.interpolation)

    def _weights(
        self,
        position: torch.Tensor,
        offset: torch.Tensor,
        count: int,
        axis: Axis,
        interpolation: str,
    ) -> torch.Tensor:
        """`[count, length]`: how much of each pixel is in each of `count` new ones.

        Args:
            position: `[length]`, 0, 1, ...
            offset: the first new one, among the `wanted`.
        """
        blocks = (axis.length / axis.halves).floor()
        block = ((position - axis.begin) / axis.halves).floor()
        inside = (block >= 0) & (block < blocks)
        new = torch.arange(count, dtype=torch.float32, device=position.device) + offset
        at = ((new + 0.5) * (blocks / axis.wanted) - 0.5)[:, None]
        last = blocks - 1
        shrunk = _linear(at, block, last)
        grown = {"nearest": _nearest, "bilinear": _linear}.get(interpolation, _cubic)
        if grown is _nearest:
            at = (new * (blocks / axis.wanted))[:, None]
        weights = torch.where(axis.grows, grown(at, block, last), shrunk)
        return torch.where(inside, weights, torch.zeros_like(weights)) / axis.halves


def _halves(fits: Callable[[float], torch.Tensor]) -> torch.Tensor:
    """2 to the power of how often a picture is halved.

    Args:
        fits: whether it is at least so many times as large as wanted.
    """
    each = [fits(2.0**k).float() * 2.0 ** (k - 1) for k in range(1, HALVINGS + 1)]
    return 1 + torch.stack(each).sum()


def _rounded(weights: torch.Tensor) -> torch.Tensor:
    return (weights * STEP).round() / STEP


def _linear(at: torch.Tensor, block: torch.Tensor, last: torch.Tensor) -> torch.Tensor:
    at = torch.minimum(at.clamp(min=0), last)
    return _rounded((1 - (at - block).abs()).clamp(min=0))


def _nearest(at: torch.Tensor, block: torch.Tensor, last: torch.Tensor) -> torch.Tensor:
    return (at.floor() == block).float()


def _cubic(at: torch.Tensor, block: torch.Tensor, last: torch.Tensor) -> torch.Tensor:
    """Keys' convolution (1981), whose four taps beyond the edge are the edge's own pixel."""
    left = at.floor()
    total = torch.zeros_like(at - block)
    for tap in range(-1, 3):
        near = torch.minimum((left + tap).clamp(min=0), last)
        total = total + _rounded(_keys((at - left - tap).abs())) * (near == block).float()
    return total


def _keys(x: torch.Tensor) -> torch.Tensor:
    inner = ((CUBIC + 2) * x - (CUBIC + 3)) * x * x + 1
    outer = ((CUBIC * x - 5 * CUBIC) * x + 8 * CUBIC) * x - 4 * CUBIC
    return torch.where(x <= 1, inner, torch.where(x < 2, outer, torch.zeros_like(x)))
