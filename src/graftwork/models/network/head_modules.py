"""Heads that torch has no module for."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional as F


class CosineModule(nn.Module):
    """Cosines `[B, num_classes]` to a direction of each class, times a scale."""

    centre: torch.Tensor

    def __init__(self, num_features: int, num_classes: int, scale: float, std: float) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(num_classes, num_features).normal_(std=std))
        self.scale = nn.Parameter(torch.tensor(float(scale)))
        self.register_buffer("centre", torch.zeros(num_features))

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        features = F.normalize(features - self.centre, dim=1)
        return self.scale * (features @ F.normalize(self.weight, dim=1).T)


class NeighboursModule(nn.Module):
    """Logarithms of what the pictures of a bank vote for, `[B, num_classes]`.

    See graftwork.models.neighbours, which says the same in NumPy.
    """

    bank: torch.Tensor
    labels: torch.Tensor
    centre: torch.Tensor

    def __init__(
        self,
        pictures: int,
        num_features: int,
        num_classes: int,
        *,
        neighbours: int,
        temperature: float,
        smoothing: float,
        sharpness: float,
    ) -> None:
        super().__init__()
        self.num_classes, self.neighbours = num_classes, neighbours
        self.temperature, self.smoothing, self.sharpness = temperature, smoothing, sharpness
        self.register_buffer("bank", torch.zeros(pictures, num_features))
        self.register_buffer("labels", torch.zeros(pictures, dtype=torch.int64))
        self.register_buffer("centre", torch.zeros(num_features))

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        cosines = F.normalize(features - self.centre, dim=1) @ self.bank.T
        nearest = cosines.topk(self.neighbours, dim=1).values
        weights = ((cosines - nearest[:, :1]) / self.temperature).exp()
        weights = torch.where(cosines >= nearest[:, -1:], weights, 0)
        votes = weights.new_zeros(len(weights), self.num_classes)
        votes = votes.scatter_add(1, self.labels.expand_as(weights), weights)
        shares = votes / votes.sum(1, keepdim=True)
        smooth = shares * (1 - self.smoothing) + self.smoothing / self.num_classes
        return self.sharpness * smooth.log()
