"""Answers of a network at rest: computed once for views that come again, live for others."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch
from torch import nn

from graftwork.storage.array_store import ArrayStore
from graftwork.transfer.bound.resting import Resting


class Answers(nn.Module):
    """Logits of views, float32 `[B, n]`.

    A view's answer is computed in a batch of a fixed size, so that it is the same whatever stands
    beside it and whether it was stored before.

    Args:
        store: by the sha256 of a view; None: views do not come again, and nothing is stored.
        batch_size: of that fixed size.
    """

    def __init__(self, network: Resting, store: ArrayStore | None, batch_size: int) -> None:
        super().__init__()
        self.network, self.store, self.batch_size = network, store, batch_size
        self.new: dict[str, np.ndarray] = {}  # not in the store yet

    def forward(self, views: torch.Tensor) -> torch.Tensor:
        """Of `[B, S, S, 3]`: uint8, or float32 of the same range where images are mixed."""
        if self.store is None or views.dtype != torch.uint8:
            found: torch.Tensor = self.network(views)
            return found
        keys = [hashlib.sha256(view.tobytes()).hexdigest() for view in views.cpu().numpy()]
        missing = [row for row, key in enumerate(keys) if self._known(key) is None]
        for start in range(0, len(missing), self.batch_size):
            rows = missing[start : start + self.batch_size]
            for row, answer in zip(rows, self._computed(views[rows]), strict=True):
                self.new[keys[row]] = answer
        answers = [self._known(key) for key in keys]
        return torch.from_numpy(np.stack([a for a in answers if a is not None])).to(views.device)

    def _known(self, key: str) -> np.ndarray | None:
        assert self.store is not None
        found = self.new.get(key)
        return self.store.get(key) if found is None else found

    def _computed(self, views: torch.Tensor) -> np.ndarray:
        full = views.new_zeros(self.batch_size, *views.shape[1:])
        full[: len(views)] = views
        found: np.ndarray = self.network(full)[: len(views)].cpu().numpy()
        return found


@contextmanager
def kept(answers: Answers) -> Iterator[Answers]:
    """What was computed inside this context is stored when it ends."""
    try:
        yield answers
    finally:
        if answers.store is not None and answers.new:
            with answers.store.writing():  # another process may have stored the same meanwhile
                missing = answers.store.missing(answers.new)
                answers.store.append((key, answers.new[key]) for key in missing)
