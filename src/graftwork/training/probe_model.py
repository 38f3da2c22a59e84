"""A head on stored features: no network is built, torch is not imported."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from graftwork.data.folds import NEVER
from graftwork.metrics.softmax import softmax
from graftwork.model_folder.saving import StoredBackbone
from graftwork.models.network.tensors import placed
from graftwork.selecting.asked import asked
from graftwork.training.audit_record import Audit
from graftwork.training.choice_record import record_of
from graftwork.training.source import Finetuned, Model, Source

if TYPE_CHECKING:
    import pandas as pd

    from graftwork.selecting.held_out import HeldOut
    from graftwork.training.history import Row
    from graftwork.transfer.parts import FittedHead


def probe_alone(source: Source, head: FittedHead, rows: list[Row]) -> Finetuned:
    """The probe as the model, and its cross-validation as what chose it."""
    held_out = source.held_out
    facts = {
        "epochs": 0, "trained_share": 0.0, "trainable_parameters": head.learnt, **probe_facts(head),
    }  # fmt: skip
    record = record_of(source, held_out.head_fold, head.fixed.chooses)
    chosen = out_of_fold(held_out, head)
    nothing = Audit.of_nothing(source.experiment.transfer.batch_norm)
    new = of_new(source, head)
    return Finetuned(probed(source, head), rows, facts, record, chosen, None, nothing, new)


def of_new(source: Source, head: FittedHead) -> tuple[pd.DataFrame, np.ndarray] | None:
    """Some of the pictures of where the model will be used, and what the head says of them."""
    from graftwork.features.feature_store import features_of

    new, selection = source.held_out.new, source.experiment.selection
    if new is None or not selection.tells_of_new(int((source.held_out.head_fold != NEVER).sum())):
        return None
    rows = new.iloc[asked(len(new), selection.max_pictures)]
    return rows, softmax(head.logits(features_of(source.experiment, source.artifacts, rows)))


def out_of_fold(held_out: HeldOut, head: FittedHead) -> tuple[pd.DataFrame, np.ndarray] | None:
    """The held-out pictures of heads, and what the head's like said that had not seen them."""
    out = held_out.head_fold != NEVER
    if not out.any():
        return None
    return held_out.rows[out].reset_index(drop=True), head.held_out[out]


def probe_facts(head: FittedHead) -> dict[str, float]:
    """Facts of the head without the prefix that curves give them."""
    return {name.partition("/")[2]: value for name, value in head.facts.items()}


def probed(source: Source, head: FittedHead) -> Model:
    """The stored backbone with a new head: no network is built, torch is not imported."""
    from graftwork.features.feature_store import frozen_network

    network = frozen_network(source.experiment, source.artifacts)
    tensors = placed(head.tensors, "head.")
    stored = StoredBackbone(network.tensors, network.tensors_sha256, tensors)
    return Model(stored, head.head, network.input_spec)
