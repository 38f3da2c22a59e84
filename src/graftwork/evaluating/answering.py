"""What the network of a model folder says of pictures, by the engine that conf/evaluation asks for.

The engine is chosen and checked as for features: on the first batch its answers are held against
those of eager float32, and how many differ is recorded. Every batch has the same size, the last
one filled up, so that kernels see one shape whatever the number of pictures and processes.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any

import numpy as np

from graftwork.data.images import DecodedImages, eval_view
from graftwork.evaluating.probabilities import in_turns, network_logits
from graftwork.features.engines.base import Engine
from graftwork.features.engines.choosing import Request
from graftwork.features.engines.loading import Batch, Picture, Show, load_batch
from graftwork.features.engines.running import Ready
from graftwork.features.engines.trained import TrainedNetwork
from graftwork.metrics.softmax import softmax
from graftwork.model_folder import contents as model_folder
from graftwork.process import distributed
from graftwork.process.progress import speed_bar
from graftwork.settings.evaluation import EAGER

if TYPE_CHECKING:
    import pandas as pd

    from graftwork.evaluating.probabilities import View
    from graftwork.experiment import Experiment
    from graftwork.models.base import InputSpec
    from graftwork.storage.artifacts import Artifacts


class Answering(ABC):
    """A trained network, ready to answer."""

    @property
    @abstractmethod
    def entry(self) -> dict[str, Any]:
        """How it is run, as metrics.json has it."""

    @abstractmethod
    def logits(self, frame: pd.DataFrame, view: View | None = None) -> np.ndarray:
        """Of each row of the manifest, `[len(frame), num_classes]`.

        Under torchrun every process calls it, and every process gets all rows.

        Args:
            view: what the network sees of a picture; None: what evaluation sees.
        """

    def probabilities(self, frame: pd.DataFrame, view: View | None = None) -> np.ndarray:
        """Softmax of the same, float32."""
        return softmax(self.logits(frame, view))


def answering(experiment: Experiment, artifacts: Artifacts, frame: pd.DataFrame) -> Answering:
    """The network of the model folder, loaded; converted and checked where it never was.

    Args:
        frame: rows of the manifest, on whose first batch an engine is checked.
    """
    kind = Eager if experiment.evaluation.engine == EAGER else ByEngine
    return kind(experiment, artifacts, frame)


class Eager(Answering):
    """By torch in float32, layer by layer."""

    def __init__(self, experiment: Experiment, artifacts: Artifacts, frame: pd.DataFrame) -> None:
        self._place = experiment, artifacts
        self._classifier, _ = model_folder.load(artifacts.model)

    @property
    def entry(self) -> dict[str, Any]:
        return {"engine": EAGER, "precision": "fp32"}

    def logits(self, frame: pd.DataFrame, view: View | None = None) -> np.ndarray:
        return network_logits(*self._place, self._classifier, frame, view)


class ByEngine(Answering):
    """By an engine; decoding streams beside it.

    Attributes:
        engine: that was chosen, loaded.
        images: where pictures come from.
    """

    def __init__(self, experiment: Experiment, artifacts: Artifacts, frame: pd.DataFrame) -> None:
        wanted, extraction = experiment.evaluation, experiment.extraction
        request = Request(
            experiment.model.name, "evaluation", wanted.engine, wanted.precision,
            extraction.batch_size, extraction.min_cosine,
        )  # fmt: skip
        self.images = DecodedImages(artifacts, experiment.dataset)
        network = TrainedNetwork(
            artifacts.model, artifacts.trained, request, experiment.model.version,
            experiment.trainer.accelerator,
        )  # fmt: skip
        first = _pictures(frame.iloc[: request.batch_size])
        self._ready = Ready(network, network.verdict_of(first, self.images))
        self.engine, self._size = self._ready.engine, request.batch_size
        self._again = 0

    @property
    def input_spec(self) -> InputSpec:
        """Of the pictures that the engine is shown."""
        return self._ready.network.input_spec

    @property
    def entry(self) -> dict[str, Any]:
        return vars(self._ready.verdict) | {"asked_again": self._again}

    def logits(self, frame: pd.DataFrame, view: View | None = None) -> np.ndarray:
        pictures, show = _pictures(frame), self._show(view or eval_view)
        found = self._run(self.engine, pictures, show)
        near = self._ready.near(found)
        self._again += len(near)
        if len(near):
            found[near] = self._run(self._ready.exact, [pictures[row] for row in near], show)
        return found

    def _show(self, view: View) -> Show:
        return lambda image, _: view(image, self.input_spec)

    def _run(self, engine: Engine, pictures: list[Picture], show: Show) -> np.ndarray:
        def load(rows: slice) -> Batch:
            return load_batch(pictures[rows], self.images, self.input_spec, self._size, show)

        def run(mine: list[slice]) -> list[np.ndarray]:
            found: list[np.ndarray] = []
            count = sum(len(pictures[rows]) for rows in mine)
            with speed_bar("Evaluating", count, distributed.rank() == 0) as seen:
                for done, (_, rows) in enumerate(self._ready.over(mine, load, engine), 1):
                    found.append(rows)
                    seen(min(done * self._size, count))
            return found

        return in_turns(len(pictures), self._size, run)


def _pictures(frame: pd.DataFrame) -> list[Picture]:
    return [Picture(*pair) for pair in zip(frame["sha256"], frame["path"], strict=True)]
