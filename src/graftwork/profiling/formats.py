"""Profiles as files for other programs: JSON with everything, CSV with one table."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from graftwork.profiling.resources import Resources
from graftwork.storage import csv_tables

Row = dict[str, Any]


def write_json(path: Path, found: Sequence[Resources]) -> None:
    """A list of everything known, one object a model."""
    path.parent.mkdir(parents=True, exist_ok=True)
    text = json.dumps([one.as_dict() for one in found], indent=1, ensure_ascii=False)
    path.write_text(text + "\n", encoding="utf-8")


def write_csv(path: Path, found: Sequence[Resources], *, layers: bool) -> None:
    """One row a layer of every model, or, without `layers`, one row a model.

    Tuples are written as `64x56x56`; an empty receptive field is the whole input.
    """
    make = layer_rows if layers else model_rows
    rows = [row for one in found for row in make(one)]
    # Columns of measurements are there where any model was measured.
    csv_tables.write(path, csv_tables.columns_of(rows), rows)


def layer_rows(one: Resources) -> Iterator[Row]:
    """The resource table of one model."""
    for layer in one.profile.layers:
        yield {
            "model": one.profile.model,
            "layer": layer.name,
            "kind": layer.kind,
            "output": shape(layer.output),
            "activation_kib": layer.activation_kib,
            "parameters": layer.parameters,
            "macs": layer.macs,
            "receptive_field": "" if layer.receptive_field is None else layer.receptive_field,
        }


def model_rows(one: Resources) -> Iterator[Row]:
    """The totals of one model."""
    profile, accuracy = one.profile, one.accuracy
    yield {
        "model": profile.model,
        "architecture": profile.architecture,
        "input": shape(profile.input),
        "classes": profile.num_classes,
        "parameters": profile.parameters,
        "transfer": one.transfer,
        "trainable_parameters": one.trainable_parameters,
        "macs": profile.macs,
        "activation_mib": profile.activation_mib,
        "batch_size": one.batch_size,
        "precision": one.precision,
        **{f"training_{use}_bytes": size for use, size in one.training_memory.items()},
        "imagenet_top1": accuracy.top1 if accuracy else "",
        "imagenet_top5": accuracy.top5 if accuracy and accuracy.top5 is not None else "",
        "imagenet_source": accuracy.source if accuracy else "",
        **(one.measured or {}),
    }


def shape(lengths: Sequence[int]) -> str:
    """`64x56x56`."""
    return "x".join(map(str, lengths))
