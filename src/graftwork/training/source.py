"""What a strategy starts from, and what it gives."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from graftwork.data.folds import learnable
from graftwork.transfer.parts import Examples

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

    from graftwork.experiment import Experiment
    from graftwork.model_folder.saving import StoredBackbone
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
        rest = self.examples(self.features).without(out)
        fold = learnable(rest.fold, rest.labels)
        return self.experiment.transfer.head_init.fit(replace(rest, fold=fold))

    def examples(self, features: np.ndarray, fold: np.ndarray | None = None) -> Examples:
        """What heads are computed from; held out as selection says, or in other folds `[n]`."""
        return examples_of(self.experiment, self.held_out, features, self.num_classes, fold)


def examples_of(
    experiment: Experiment,
    held_out: HeldOut,
    features: np.ndarray,
    num_classes: int,
    fold: np.ndarray | None = None,
) -> Examples:
    """See `Source.examples`."""
    fold = held_out.head_fold if fold is None else fold
    return Examples(features, held_out.labels, num_classes, fold, experiment.seed)


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
    # Rows of new pictures, and probabilities `[m, num_classes]` by a model that chose; None where
    # held-out ones were not matched to any.
    new: tuple[pd.DataFrame, np.ndarray] | None
