"""Class probabilities for a split, the same whatever the number of processes and threads.

A strategy that leaves the backbone as it was needs no network: stored features times the head.
Any other asks the network of the model folder (graftwork.evaluating.answering), or one that is in
memory, eagerly in float32. Pictures form fixed batches, and batch b of N processes goes to process
b mod N.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from graftwork.experiment import Experiment
from graftwork.features.engines.running import each_alone
from graftwork.metrics.softmax import softmax
from graftwork.process import distributed
from graftwork.storage.artifacts import Artifacts

if TYPE_CHECKING:
    import pandas as pd
    import torch

    from graftwork.models.base import InputSpec
    from graftwork.models.network.classifier import Classifier

    View = Callable[[np.ndarray, InputSpec], np.ndarray]  # picture to uint8 [size, size, 3]
    Shown = Callable[[pd.DataFrame], torch.Tensor]  # rows of the manifest as the network takes them


def needs_network(artifacts: Artifacts) -> bool:
    """Whether training has changed the backbone, so that stored features are of no use.

    Raises:
        UserError: the model does not say so; an earlier version trained it.
    """
    from graftwork.model_folder import contents as model_folder

    return model_folder.was_trained(artifacts.model, model_folder.read_contract(artifacts.model))


def by_features(experiment: Experiment, artifacts: Artifacts, frame: pd.DataFrame) -> np.ndarray:
    """Softmax of the logits of every picture, in the frame's order, by stored features.

    Args:
        frame: rows of the manifest.

    Returns:
        float32 `[len(frame), num_classes]`.
    """
    from graftwork.features.feature_store import features_of
    from graftwork.model_folder import contents as model_folder

    features = features_of(experiment, artifacts, frame)
    classes = len(model_folder.read_contract(artifacts.model).classes)
    head, tensors = model_folder.read_head(artifacts.model)
    return softmax(head.logits(tensors, features, classes))


def network_logits(
    experiment: Experiment,
    artifacts: Artifacts,
    classifier: Classifier,
    frame: pd.DataFrame,
    view: View | None = None,
    shown: Shown | None = None,
) -> np.ndarray:
    """Logits `[len(frame), num_classes]` of a network; under torchrun every process calls it.

    Args:
        view: what it sees of a picture; None: what evaluation sees.
        shown: what it is shown of rows; None: that view of their pictures.
    """
    from graftwork.features.engines.torch_engine import device_of

    shown = shown or _pictures(experiment, artifacts, classifier, view)
    device = device_of(experiment.trainer.accelerator)
    classifier.eval().to(device)

    def of(rows: slice) -> np.ndarray:
        return _logits(classifier, shown(frame.iloc[rows]), device)

    return in_turns(
        len(frame), experiment.extraction.batch_size, lambda mine: list(each_alone(of, mine))
    )


def in_turns(count: int, size: int, run: Callable[[list[slice]], list[np.ndarray]]) -> np.ndarray:
    """The rows that all processes compute together, in order, in every process.

    Args:
        count: of rows.
        size: of a batch.
        run: from this process's batches, the rows of each, to their results.
    """
    if not count:
        return np.zeros((0, 0), np.float32)
    starts = range(0, count, size)
    mine = starts[distributed.rank() :: distributed.world_size()]
    results = run([slice(start, min(start + size, count)) for start in mine])
    with distributed.joined():
        parts = distributed.gathered(dict(zip(mine, results, strict=True)))
    of_batch = {start: rows for part in parts for start, rows in part.items()}
    return np.concatenate([of_batch[start] for start in starts])


def _logits(classifier: Classifier, shown: torch.Tensor, device: torch.device) -> np.ndarray:
    import torch

    with torch.inference_mode():
        pixels = classifier.normalise(shown.to(device))
        return classifier(pixels).float().cpu().numpy()


def _pictures(
    experiment: Experiment, artifacts: Artifacts, classifier: Classifier, view: View | None
) -> Shown:
    """Rows of the manifest to uint8 `[n, S, S, 3]`."""
    import torch

    from graftwork.data.images import DecodedImages, eval_view

    images, seen = DecodedImages(artifacts, experiment.dataset), view or eval_view

    def shown(rows: pd.DataFrame) -> torch.Tensor:
        views = [
            seen(images.get(sha256, path), classifier.input_spec)
            for sha256, path in zip(rows["sha256"], rows["path"], strict=True)
        ]
        return torch.from_numpy(np.stack(views))

    return shown
