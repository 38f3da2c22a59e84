"""A network with the engine that was chosen for it, over batches: for whoever wants its outputs.

Engines take all cores for one batch, while the next ones are loaded in threads. Where torch
computes on a CPU each thread takes whole batches and computes them alone: sums inside a batch then
have one order, however many threads there are.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from functools import cached_property
from typing import TypeVar

import numpy as np

from graftwork.features.engines.base import Engine
from graftwork.features.engines.choosing import Runnable, Verdict
from graftwork.features.engines.loading import AHEAD, Batch
from graftwork.features.engines.trained import AnswersVerdict, lead
from graftwork.process import distributed
from graftwork.process.cores import cores
from graftwork.process.read_ahead import ahead

T = TypeVar("T")
R = TypeVar("R")
B = TypeVar("B", bound=Batch)


class Ready:
    """What is frozen, and the engine that was chosen for it, loaded.

    Attributes:
        network: that it runs.
        verdict: by which the engine was chosen.
        engine: that was chosen.
    """

    def __init__(self, network: Runnable, verdict: Verdict) -> None:
        self.network, self.verdict = network, verdict
        self.engine = network.engine(verdict.engine, verdict.precision)

    @cached_property
    def exact(self) -> Engine:
        """The same in float32, loaded when first asked for."""
        return self.network.engine(self.verdict.engine, "fp32")

    def near(self, logits: np.ndarray) -> np.ndarray:
        """Rows whose two largest logits are so near that `exact` is to be asked, in order."""
        tie = self.verdict.tie if isinstance(self.verdict, AnswersVerdict) else 0.0
        if not tie or not len(logits):
            return np.zeros(0, np.intp)
        return np.flatnonzero(lead(logits, logits) < tie)

    def over(
        self, chunks: Iterable[T], load: Callable[[T], B], engine: Engine | None = None
    ) -> Iterator[tuple[B, np.ndarray]]:
        """Each batch and the outputs of its pictures, in order; a few are in memory at a time.

        Args:
            load: what makes a full-sized batch of a chunk; called by several threads.
            engine: `exact`; None: the chosen one.
        """
        engine = engine or self.engine

        def computed(batch: B) -> tuple[B, np.ndarray]:
            if not batch.keys:
                return batch, np.zeros((0, 0), np.float32)
            return batch, engine(batch.images)[: len(batch.keys)]

        if self.verdict.engine == "torch" and not self.network.on_gpu():
            yield from each_alone(lambda chunk: computed(load(chunk)), chunks)
        else:
            loaded = ahead(load, chunks, max(AHEAD, cores()), "loading")
            # One batch is computed while whoever asked looks at what became of the one before.
            yield from ahead(computed, loaded, 2, "computing", 1)


def each_alone(of: Callable[[T], R], batches: Iterable[T]) -> Iterator[R]:
    """What torch makes of batches on a CPU, each on one thread, in order."""
    import torch

    before = torch.get_num_threads()
    threads = max(1, cores() // distributed.processes_here())
    try:
        # One torch thread for each Python thread: see the module's first words.
        yield from ahead(
            of, batches, max(AHEAD, 2 * threads), "computing", threads,
            lambda: torch.set_num_threads(1),
        )  # fmt: skip
    finally:
        torch.set_num_threads(before)
