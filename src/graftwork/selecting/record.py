"""reports/selection.json: how what is kept was chosen, and on which pictures.

The one home of its names: the stage finetune writes it, evaluation, reports and rankings read it.
"""

from __future__ import annotations

import dataclasses
import json
import math
from dataclasses import dataclass
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, get_args, get_origin, get_type_hints

from graftwork.config.errors import UserError, check_choice, check_range, unknown
from graftwork.settings.selection import METHODS
from graftwork.storage.files import write_json

DECIDED = tuple(method for method in METHODS if method != "auto")
REMEDY = "Run the stage finetune again, which writes this file."
NAMES = {int: "a whole number", float: "a finite number", bool: "true or false", str: "text"}


@dataclass(frozen=True)
class Distances:
    """Cosine distances to the nearest training photo, at percentiles of the photos.

    A curve that is not known is empty.
    """

    percentiles: list[float]  # rising, in [0, 100]
    new: list[float]  # of new photos to all of train
    held_out: list[float]  # of held-out photos to the rest, under the chosen folds
    random: list[float]  # likewise, had the folds been random

    def __post_init__(self) -> None:
        for percentile in self.percentiles:
            check_range("distances.percentiles", percentile, 0, 100)
        for name in ("new", "held_out", "random"):
            count = len(getattr(self, name))
            if count not in (0, len(self.percentiles)):
                raise UserError(
                    f"distances.{name}: {count} values. Legal: {len(self.percentiles)}, as many "
                    "as there are percentiles, or none."
                )


@dataclass(frozen=True)
class Clustering:
    """One way to cut the photos into clusters."""

    count: int  # clusters
    wasserstein: float  # between the distances of held-out photos and those of new ones
    chosen: bool


@dataclass(frozen=True)
class Optimism:
    """Top-1 of the probe by cross-validation."""

    random_top1: float  # on random folds
    top1: float  # on the chosen ones


@dataclass(frozen=True)
class WayPoint:
    """A point between the first weights and the trained ones, on held-out pictures."""

    share: float  # of the way: 0 the first weights, 1 the trained ones
    top1: float
    log_loss: float  # nats
    chosen: bool


@dataclass(frozen=True)
class GoneBack:
    """An attempt that destroyed the network, after which training began again, more slowly."""

    attempt: int  # from 1
    step: int  # at which it was noticed
    loss: float | None  # nats, then; None: not a finite number
    start_loss: float  # nats, of the network that training began from
    factor: float  # of the learning rates in this attempt


@dataclass(frozen=True)
class SelectionRecord:
    """How what is kept was chosen. Parts that a method does not have are None."""

    method: str  # one of DECIDED
    why: str  # this method, in a sentence
    words: str  # what was held out, and how what is kept was chosen
    held_out: int  # pictures that chose
    fitted: int  # pictures that the kept model was fitted on
    folds: int
    distances: Distances | None
    clusters: list[Clustering] | None
    optimism: Optimism | None
    shares: list[WayPoint] | None
    gone_back: list[GoneBack]
    ended_as_start: bool  # no attempt came back: what training began from was kept

    def __post_init__(self) -> None:
        check_choice("method", self.method, DECIDED)
        for name in ("held_out", "fitted", "folds"):
            check_range(name, getattr(self, name), 0)

    @classmethod
    def read(cls, path: Path) -> SelectionRecord:
        """What a file says.

        Raises:
            UserError: it is not there, or damaged, naming the part that is wrong.
        """
        try:
            values = json.loads(path.read_text(encoding="utf-8"))
            made: SelectionRecord = _built(cls, values, "")
        except FileNotFoundError:
            raise UserError(f"{path}: no such file. {REMEDY}") from None
        except UserError as error:
            raise UserError(f"{path}: {error} {REMEDY}") from error
        except (ValueError, OverflowError) as error:
            raise UserError(f"{path}: not valid JSON ({error}). {REMEDY}") from error
        return made

    def write(self, path: Path) -> None:
        """Writes the file, whole or not at all."""
        values = dataclasses.asdict(self)
        for attempt in values["gone_back"]:  # JSON has no word for what a destroyed network loses
            if attempt["loss"] is not None and not math.isfinite(attempt["loss"]):
                attempt["loss"] = None
        write_json(path, values)


def _built(hint: Any, value: Any, where: str) -> Any:
    """The value as its annotation wants it.

    Not by `components.build`: that resolves `${...}` in texts, and these hold names of data.

    Raises:
        UserError: it is of another kind.
    """
    kinds = get_args(hint) if isinstance(hint, UnionType) else (hint,)
    if value is None and NoneType in kinds:
        return None
    kind = kinds[0]
    if dataclasses.is_dataclass(kind):
        return _filled(kind, value, where)
    if get_origin(kind) is list:
        if not isinstance(value, list):
            raise UserError(f"{where}: {_cut(value)} has the wrong type. Legal: a list.")
        item = get_args(kind)[0]
        return [_built(item, entry, f"{where}[{index}]") for index, entry in enumerate(value)]
    if not _fits(kind, value):
        raise UserError(f"{where}: {_cut(value)} has the wrong type. Legal: {NAMES[kind]}.")
    return kind(value)


def _filled(kind: Any, value: Any, where: str) -> Any:
    if not isinstance(value, dict):
        raise UserError(f"{where or 'the file'}: {_cut(value)} is no group of keys.")
    hints = get_type_hints(kind)
    prefix = f"{where}." if where else ""
    for key in value:
        if key not in hints:
            raise unknown(f"{prefix}{key}", key, hints)
    for key in hints:
        if key not in value:
            raise UserError(f"{prefix}{key}: no value.")
    return kind(**{key: _built(hints[key], value[key], prefix + key) for key in hints})


def _fits(kind: type, value: Any) -> bool:
    if kind is float:
        number = isinstance(value, int | float) and not isinstance(value, bool)
        return number and math.isfinite(value)
    return type(value) is kind


def _cut(value: Any) -> str:
    return repr(value)[:60]
