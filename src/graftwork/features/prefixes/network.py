"""A frozen prefix, ready to be run by an engine."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import numpy as np

from graftwork.experiment import Experiment
from graftwork.features.engines import keys, openvino_engine
from graftwork.features.engines.base import Engine
from graftwork.features.engines.choosing import Request, Runnable
from graftwork.features.engines.torch_engine import TorchEngine, eager_features
from graftwork.storage.artifacts import Artifacts

if TYPE_CHECKING:
    from graftwork.models.network.classifier import Classifier
    from graftwork.models.network.splitting import Split

PREFIX = 1  # raise it when the same prefix begins to give other maps, or they lie otherwise on disk


class FrozenPrefix(Runnable):
    """The part of a classifier before a boundary.

    Its key begins with that of the whole frozen network, and goes on with the prefix's own values
    and steps: whatever the training did before it was split cannot be mistaken for something else.
    """

    def __init__(
        self, experiment: Experiment, artifacts: Artifacts, classifier: Classifier, split: Split
    ) -> None:
        own = keys.digest(
            {
                "computes": PREFIX,
                "steps": split.prefix.code,
                "tensors": _fingerprint(split),
                "channels_last": split.channels_last,
            }
        )
        self.key = f"{keys.network_key(experiment, artifacts)}-{own}"
        folder = artifacts.networks / self.key
        super().__init__(Request.of(experiment), folder, classifier.input_spec)
        self.classifier, self.split = classifier, split

    def reference(self, images: np.ndarray) -> np.ndarray:
        return eager_features(self.classifier, images, self.split.prefix)

    def engine(self, engine: str, precision: str) -> Engine:
        if engine == "torch":
            return TorchEngine(self.classifier, precision, self.split.prefix)
        if not openvino_engine.is_converted(self.folder):
            size = self.request.batch_size
            self.folder.mkdir(parents=True, exist_ok=True)
            openvino_engine.convert(self.classifier, size, self.folder, self.split.prefix)
        return openvino_engine.OpenVinoEngine(self.folder, precision)


def _fingerprint(split: Split) -> str:
    """sha256 of its parameters and buffers."""
    found = hashlib.sha256()
    for name, tensor in sorted(split.prefix.state_dict().items()):
        values = np.ascontiguousarray(tensor.detach().cpu().numpy())
        found.update(f"{name} {values.dtype} {values.shape} ".encode())
        found.update(values.data)
    return found.hexdigest()
