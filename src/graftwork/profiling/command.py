"""What `graftwork profile` does: names first, at once; then torch, profiles, tables and files."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from graftwork.config.errors import check_choice, check_range
from graftwork.models.base import Model
from graftwork.profiling.chosen import (
    model_choice,
    model_of,
    trainer_of,
    transfer_choice,
    transfer_of,
)
from graftwork.settings.trainer import PRECISIONS
from graftwork.transfer.strategy import Transfer

WITHOUT_WEIGHTS = "from_scratch"  # the one way to train what has no pretrained weights


@dataclass(frozen=True)
class Request:
    """What was typed. None: the configuration's own."""

    words: Sequence[str]
    transfer: str | None
    num_classes: int
    size: int | None  # px
    batch_size: int | None
    precision: str | None
    overrides: Sequence[str]

    def check(self) -> None:
        """Raises UserError for a wrong name, before anything heavy is imported."""
        for word in self.words:
            model_choice(word)
        if self.transfer:
            transfer_choice(self.transfer)
        if self.precision:
            check_choice("precision", self.precision, PRECISIONS)
        if self.size is not None:
            check_range("size", self.size, 8)


@dataclass(frozen=True)
class Files:
    """Where to write; None: nowhere."""

    json: Path | None
    csv: Path | None
    html: Path | None


def run(request: Request, files: Files, *, layers: bool, measure: bool) -> None:
    """Profiles the models, prints them and writes the files.

    Raises:
        UserError: anything wrong in the request.
    """
    request.check()
    words = list(dict.fromkeys(request.words))
    models = [_model(word, request) for word in words]
    transfers = [_transfer(*pair, request) for pair in zip(words, models, strict=True)]
    trainer = trainer_of((*model_choice(words[0]), *_strategy(request), *request.overrides))

    from graftwork.profiling import formats, page, tables
    from graftwork.profiling.resources import examined, setting

    wanted = setting(
        request.num_classes,
        request.batch_size or trainer.images_a_pass,
        request.precision or trainer.precision,
        measure=measure,
    )
    found = examined(models, transfers, wanted)
    tables.show(found, layers=layers)
    if files.json:
        formats.write_json(files.json, found)
    if files.csv:
        formats.write_csv(files.csv, found, layers=layers)
    if files.html:
        page.write_html(files.html, found, layers=layers)


def _model(word: str, request: Request) -> Model:
    model = model_of(word, (*_strategy(request), *request.overrides))
    return dataclasses.replace(model, input_size=request.size) if request.size else model


def _transfer(word: str, model: Model, request: Request) -> Transfer:
    """The strategy asked for; unasked, one that this model can be trained with."""
    asked = request.transfer or any(text.startswith("transfer=") for text in request.overrides)
    strategy = request.transfer if asked or model.weights is not None else WITHOUT_WEIGHTS
    return transfer_of(strategy, (*model_choice(word), *request.overrides))


def _strategy(request: Request) -> list[str]:
    """Overrides of its parts mean something in a composition with this strategy only."""
    return transfer_choice(request.transfer) if request.transfer else []
