"""Local response normalisation, as AlexNet and GoogLeNet use it."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional


class LocalResponseNorm(nn.Module):
    """Divides each value by its neighbourhood across channels, at the same place.

    `b_c = a_c / (k + alpha * sum of a_j^2 over the size channels around c)^beta`, Krizhevsky et al.
    2012, section 3.3, with its constants. torch's own layer divides alpha by `size`, as Caffe does,
    and its gradient on a GPU differs from run to run; sums of slices do not.
    """

    def __init__(
        self, size: int = 5, alpha: float = 1e-4, beta: float = 0.75, k: float = 2.0
    ) -> None:
        super().__init__()
        self.size, self.alpha, self.beta, self.k = size, alpha, beta, k

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """`[B, C, H, W]` to the same shape."""
        before = self.size // 2
        padding = (0, 0, 0, 0, before, self.size - 1 - before)
        squares = functional.pad(x.square(), padding)
        channels = x.shape[1]
        total = squares[:, :channels]
        for shift in range(1, self.size):
            total = total + squares[:, shift : shift + channels]
        return x / (self.k + self.alpha * total) ** self.beta

    def extra_repr(self) -> str:
        return f"{self.size}, alpha={self.alpha}, beta={self.beta}, k={self.k}"
