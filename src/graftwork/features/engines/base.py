"""What every engine offers."""

from __future__ import annotations

from typing import Protocol

import numpy as np

# Raise it when the same views and weights begin to give other features, whatever the network:
# normalisation, pooling, how weights are loaded, engines. Features and networks start anew.
FEATURES = 1


class Engine(Protocol):
    """A frozen backbone, ready to run."""

    def __call__(self, images: np.ndarray) -> np.ndarray:
        """uint8 RGB `[batch_size, S, S, 3]` to float32 `[batch_size, num_features]`.

        The batch always has the same size. Kernels are chosen by shape, so that a picture's
        features do not depend on how many others there happen to be.
        """
