"""What the network of a model folder says of pictures, by the engine that conf/evaluation asks for.

The engine is chosen and checked as for features: on the first batch its answers are held against
those of eager float32, and how many differ is recorded. Every batch has the same size, the last
one filled up, so that kernels see one shape whatever the number of pictures and processes.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from graftwork.data.images import DecodedImages, eval_view
from graftwork.evaluating.probabilities import in_turns, network_logits, pooled, softmax
from graftwork.features.engines.base import Engine
from graftwork.features.engines.choosing import Request
from graftwork.features.engines.loading import Picture, Show, load_batch
from graftwork.features.engines.streaming import stream
from graftwork.features.engines.trained import TrainedNetwork, lead
from graftwork.model_folder import contents as model_folder
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
        self._network = TrainedNetwork(
            artifacts.model, artifacts.trained, request, experiment.model.version,
            experiment.trainer.accelerator,
        )  # fmt: skip
        first = _pictures(frame.iloc[: request.batch_size])
        self._verdict = self._network.answers_verdict(first, self.images)
        self.engine = self._network.engine(self._verdict.engine, self._verdict.precision)
        self._again = 0

    @property
    def input_spec(self) -> InputSpec:
        """Of the pictures that the engine is shown."""
        return self._network.input_spec

    @property
    def entry(self) -> dict[str, Any]:
        return vars(self._verdict) | {"asked_again": self._again}

    def logits(self, frame: pd.DataFrame, view: View | None = None) -> np.ndarray:
        pictures, show = _pictures(frame), self._show(view or eval_view)
        found = self._run(self.engine, pictures, show)
        if self._verdict.tie and len(found):
            near = np.flatnonzero(lead(found, found) < self._verdict.tie)
            self._again += len(near)
            if len(near):
                found[near] = self._run(self._exact, [pictures[row] for row in near], show)
        return found

    @cached_property
    def _exact(self) -> Engine:
        return self._network.engine(self._verdict.engine, "fp32")

    def _run(self, engine: Engine, pictures: list[Picture], show: Show) -> np.ndarray:
        in_threads = self._verdict.engine == "torch" and not self._network.on_gpu()
        run = self._in_threads if in_threads else self._streamed
        size = self._network.request.batch_size
        return in_turns(len(pictures), size, lambda mine: run(engine, pictures, mine, show))

    def _show(self, view: View) -> Show:
        return lambda image, _: view(image, self.input_spec)

    def _streamed(
        self, engine: Engine, pictures: list[Picture], mine: list[slice], show: Show
    ) -> list[np.ndarray]:
        """One batch after the other: only the last of all is not full, and it comes last here."""
        request, spec = self._network.request, self.input_spec
        todo = [picture for rows in mine for picture in pictures[rows]]
        found = stream(engine, todo, self.images, spec, request.batch_size, show, "Evaluating")
        rows = [row for _, row in found]
        size = request.batch_size
        return [np.stack(rows[start : start + size]) for start in range(0, len(rows), size)]

    def _in_threads(
        self, engine: Engine, pictures: list[Picture], mine: list[slice], show: Show
    ) -> list[np.ndarray]:
        spec, size = self.input_spec, self._network.request.batch_size

        def of(rows: slice) -> np.ndarray:
            batch = load_batch(pictures[rows], self.images, spec, size, show)
            return engine(batch.images)[: len(batch.keys)]

        return pooled(of, mine)


def _pictures(frame: pd.DataFrame) -> list[Picture]:
    return [Picture(*pair) for pair in zip(frame["sha256"], frame["path"], strict=True)]
