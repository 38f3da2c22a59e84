"""`graftwork models`: the words that choose a model, read from conf/model."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

from graftwork.config.errors import UserError

# "# ResNet-50: 25.6 million parameters, 224 px; whatever else is worth saying."
_HEADLINE = re.compile(
    r"(?P<name>[^:]+):.*? (?P<count>[\d.]+) (?P<unit>million|thousand) parameters, (?P<px>\d+) px"
)
ANY = "timm"
FOOTNOTE = (
    "No weights: transfer=from_scratch. More on each, with the pins: conf/model/WORD.yaml.\n"
    f"Any other timm name: model={ANY} model.architecture=NAME"
)


@dataclass(frozen=True)
class Entry:
    """One model configuration."""

    word: str
    what: str  # first comment of the file
    pretrained_on: str  # or that there are no weights
    origin: str  # where they come from
    licence: str

    @property
    def weights(self) -> str:
        return ", ".join(part for part in (self.pretrained_on, self.origin) if part)

    @property
    def family(self) -> str:
        """The word's first letters, without a version: resnet of resnetv2_50."""
        letters = re.match(r"[a-z]*", self.word)
        return re.sub(r"v$", "", letters[0] if letters else "")

    @property
    def columns(self) -> tuple[str, str, str]:
        """Name, parameters and side in px, as the comment gives them."""
        found = _HEADLINE.match(self.what)
        if found is None:
            return re.split(r"[:;.]", self.what)[0], "", ""
        unit = {"million": "M", "thousand": "k"}[found["unit"]]
        return found["name"], f"{found['count']} {unit}", found["px"]

    @property
    def parameters(self) -> tuple[float, float] | None:
        """Number of parameters that the comment gives, and half of its last digit."""
        found = _HEADLINE.match(self.what)
        if found is None:
            return None
        scale = {"million": 1e6, "thousand": 1e3}[found["unit"]]
        digits = len(found["count"].partition(".")[2])
        return float(found["count"]) * scale, 0.5 * scale / 10**digits


def entries(conf: Path) -> list[Entry]:
    """Every model under conf/model, members of a family from small numbers to large.

    Raises:
        UserError: there is no such folder, or a file in it is wrong.
    """
    folder = conf / "model"
    if not folder.is_dir():
        raise UserError(f"{folder}: no such folder. Run this in the project's folder.")
    found = [
        Entry(path.stem, _headline(path), *_weights(values(path)))
        for path in folder.glob("[!_]*.yaml")
    ]
    return sorted(found, key=lambda entry: (entry.family, _numbered(entry.word)))


def _numbered(word: str) -> list[tuple[str, int]]:
    """Sorts resnet18 before resnet101."""
    return [(text, int(number or 0)) for text, number in re.findall(r"(\D+)(\d*)", word)]


def values(path: Path) -> dict:
    """What the file itself says; where weights come from is never inherited."""
    import yaml
    from omegaconf import OmegaConf
    from omegaconf.errors import OmegaConfBaseException

    try:
        whole = OmegaConf.create({"model": OmegaConf.load(path)})
        values = OmegaConf.to_container(whole, resolve=True)
    except (yaml.YAMLError, OmegaConfBaseException) as error:
        raise UserError(f"{path}: not valid: {error}") from error
    assert isinstance(values, dict)
    return values["model"]


def _headline(path: Path) -> str:
    first = path.read_text("utf-8").partition("\n")[0]
    return first.lstrip("# ").strip() if first.startswith("#") else ""


def _weights(model: dict) -> tuple[str, str, str]:
    """What they were trained on, where they come from, their licence."""
    from graftwork.config.components import build
    from graftwork.models.base import Weights

    if model.get("weights") is None:
        return "none", "", ""
    weights = build(model["weights"], Weights, "model.weights")
    return weights.pretrained_on, weights.source.origin, weights.licence


def show_models(conf: Path = Path("conf")) -> None:
    """Prints the catalogue as a table: a line a network, a space around each family."""
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.table import Table

    from graftwork.process.terminal import literal

    table = Table(box=SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False, show_edge=False)
    table.add_column("model=", no_wrap=True)
    table.add_column("what it is", overflow="fold", min_width=18)
    table.add_column("params", justify="right", no_wrap=True)
    table.add_column("px", justify="right", no_wrap=True)
    table.add_column("weights", max_width=12)
    table.add_column("licence", no_wrap=True)
    for members in _spaced(entries(conf)):
        for entry in members:
            licence = entry.licence.split(",")[0]
            cells = (entry.word, *entry.columns, entry.pretrained_on, licence)
            table.add_row(*map(literal, cells))
        table.add_section()
    Console().print(table)
    Console().print()
    Console().print(FOOTNOTE, markup=False, soft_wrap=True)


def _spaced(found: list[Entry]) -> Iterator[list[Entry]]:
    """Families of several members; networks that are alone in theirs stand together."""
    alone: list[Entry] = []
    for _, family in groupby(found, key=lambda entry: entry.family):
        members = [entry for entry in family if entry.word != ANY]
        if len(members) > 1:
            yield from (group for group in (alone, members) if group)
            alone = []
        else:
            alone += members
    if alone:
        yield alone
