from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from written_model import Trained

from graftwork.experiment import Experiment


@pytest.fixture
def trained(tiny_params: Callable[..., dict[str, Any]]) -> Trained:
    experiment = Experiment.from_params(tiny_params("model/head=mlp", "model.pooling=avgmax"))
    torch.manual_seed(0)
    classifier = experiment.model.build(3, None)
    classifier.train()(torch.randn(4, 3, 32, 32))  # statistics are no longer those of the start
    return experiment, classifier
