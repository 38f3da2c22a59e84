"""What a strategy starts from, and what it gives."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from graftwork.data.folds import learnable

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

    from graftwork.experiment import Experiment
    from graftwork.model_folder.contents import StoredBackbone
    from graftwork.models.base import Head, InputSpec
    from graftwork.models.network.classifier import Classifier
    from graftwork.selecting.first_head import FirstHead
    from graftwork.selecting.held_out import HeldOut
    from graftwork.selecting.record import SelectionRecord
    from graftwork.storage.artifacts import Artifacts
    from graftwork.training.audit_record import Audit
    from graftwork.training.history import Row
    from graftwork.training.resuming.legs import Legs
    from graftwork.transfer.parts import FittedHead


@dataclass(frozen=True)
class Source:
    """What a strategy starts from."""

    experiment: Experiment
    artifacts: Artifacts
    held_out: HeldOut
    features: np.ndarray | None  # float32 [n, num_features] of held_out.rows, where heads need them
    head: FittedHead | None  # fitted on all of them; None: the strategy computes none
    num_classes: int
    legs: Legs | None  # where trainings keep how far they are; None: nowhere

    def head_without(self, out: np.ndarray) -> FittedHead | None:
        """The head that had not seen the pictures of `out` (booleans `[n]`), constants included."""
        if self.features is None:
            return None
        labels = self.held_out.labels[~out]
        fold = learnable(self.held_out.head_fold[~out], labels)
        head_init = self.experiment.transfer.head_init
        seed = self.experiment.seed
        return head_init.fit(self.features[~out], labels, self.num_classes, fold, seed)


@dataclass(frozen=True)
class Model:
    """What the model folder keeps."""

    weights: Classifier | StoredBackbone  # the latter where no network was built
    head: Head  # the kind that was trained or fitted
    input_spec: InputSpec


@dataclass(frozen=True)
class Finetuned:
    """A model, and how it came about."""

    model: Model
    rows: list[Row]  # the curves, one row an epoch
    facts: dict[str, Any]  # the same for the same run: they go into the model's contract
    record: SelectionRecord
    # Rows of the manifest and probabilities `[n, num_classes]` by models that had not seen them;
    # None where nothing was held out.
    held_out: tuple[pd.DataFrame, np.ndarray] | None
    start: FirstHead | None  # the probe that training began from, where the model is another
    audit: Audit  # what was trained, and how far it moved
