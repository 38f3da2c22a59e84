"""Batches through an engine, in order, whichever way the engine is run."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from graftwork.features.engines.loading import Batch
from graftwork.features.engines.running import Ready
from graftwork.features.engines.trained import AnswersVerdict


def ready(engine: str, tie: float, seen: list[int]) -> Ready:
    def run(images: np.ndarray) -> np.ndarray:
        seen.append(int(images[0, 0, 0, 0]))
        return images[:, 0, 0, :2].astype(np.float32)

    network: Any = SimpleNamespace(engine=lambda *_: run, on_gpu=lambda: False)
    return Ready(network, AnswersVerdict(engine, "bf16", 1.0, 1.0, 1, 0, tie))


@pytest.mark.parametrize("engine", ["openvino", "torch"])
def test_batches_come_in_order_and_an_empty_one_is_not_run(engine: str) -> None:
    seen: list[int] = []

    def load(number: int) -> Batch:
        count = 0 if number % 3 == 2 else 2
        return Batch(tuple("ab"[:count]), np.full((2, 1, 1, 3), number, np.uint8))

    found = list(ready(engine, 0.0, seen).over(range(9), load))
    assert [int(batch.images[0, 0, 0, 0]) for batch, _ in found] == list(range(9))
    assert [len(rows) for _, rows in found] == [2, 2, 0] * 3
    assert all((rows == batch.images[0, 0, 0, 0]).all() for batch, rows in found)
    assert sorted(seen) == [0, 1, 3, 4, 6, 7]


def test_near_ties_are_those_whose_lead_is_small() -> None:
    logits = np.array([[1, 1.05, 0], [3, 1, 2.8], [0, 5, 1]], np.float32)
    assert ready("openvino", 0.1, []).near(logits).tolist() == [0]
    assert ready("openvino", 0.3, []).near(logits).tolist() == [0, 1]
    assert ready("openvino", 0.0, []).near(logits).tolist() == []
    assert ready("openvino", 0.3, []).near(logits[:0]).tolist() == []
