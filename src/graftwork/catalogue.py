"""`graftwork models`: the words that choose a model, read from conf/model."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from graftwork.errors import UserError


@dataclass(frozen=True)
class Entry:
    """One model configuration."""

    word: str
    what: str  # first comment of the file
    weights: str  # where they come from
    licence: str


def entries(conf: Path) -> list[Entry]:
    """Every model under conf/model.

    Raises:
        UserError: there is no such folder, or a file in it is wrong.
    """
    folder = conf / "model"
    if not folder.is_dir():
        raise UserError(f"{folder}: no such folder. Run this in the project's folder.")
    return [
        Entry(path.stem, _headline(path), *_weights(_values(path)))
        for path in sorted(folder.glob("[!_]*.yaml"))
    ]


def _values(path: Path) -> dict:
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
    first = path.read_text().partition("\n")[0]
    return first.lstrip("# ").strip() if first.startswith("#") else ""


def _weights(model: dict) -> tuple[str, str]:
    from graftwork.components import build
    from graftwork.models.base import Weights

    if model.get("weights") is None:
        return "none: from scratch", ""
    weights = build(model["weights"], Weights, "model.weights")
    return f"{weights.pretrained_on}, {weights.source.origin}", weights.licence


def show_models(conf: Path = Path("conf")) -> None:
    """Prints the catalogue as a table."""
    from rich.console import Console
    from rich.table import Table

    table = Table()
    table.add_column("model=", no_wrap=True)
    for heading in ("what it is", "weights", "licence"):
        table.add_column(heading)
    for entry in entries(conf):
        table.add_row(entry.word, entry.what, entry.weights, entry.licence)
    Console().print(table)
    Console().print("Any other timm name: model=timm model.architecture=NAME", markup=False)
