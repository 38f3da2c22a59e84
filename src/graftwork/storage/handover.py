"""What stages hand on, known by its sha256: what decays in between is noticed before it is used.

Each stage notes in its cost file what it wrote, and looks at what the earlier ones have noted. The
model folder is not among it: its contract has the hashes, and whoever loads it compares.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from graftwork.config.errors import UserError
from graftwork.storage.artifacts import Artifacts
from graftwork.storage.files import read_receipt, sha256_of

HANDED: dict[str, Callable[[Artifacts], Iterable[Path]]] = {
    "prepare": lambda here: (here.manifest, here.classes, here.data_report),
    "extract_features": lambda here: (here.feature_receipt,),
    "finetune": lambda here: (here.history, here.selection, here.start.parent, here.audit),
}
BEFORE = {
    "extract_features": ("prepare",),
    "finetune": ("prepare", "extract_features"),
    "evaluate": ("prepare", "extract_features", "finetune"),
}
WROTE = "wrote"  # of a stage's cost file
LOST = "What that stage took and wrote is not known any more."


def written(stage: str, artifacts: Artifacts) -> dict[str, str]:
    """The sha256 of what a stage hands on, by path in the experiment's folder."""
    files = _files(HANDED[stage](artifacts)) if stage in HANDED else []
    return {file.relative_to(artifacts.root).as_posix(): sha256_of(file) for file in files}


def _files(places: Iterable[Path]) -> list[Path]:
    found = [(sorted(place.rglob("*")) if place.is_dir() else [place]) for place in places]
    return [path for paths in found for path in paths if path.is_file()]


def check(stage: str, artifacts: Artifacts) -> None:
    """Compares what the earlier stages handed on; of those that noted nothing, nothing is known.

    Raises:
        UserError: it is damaged, or gone.
    """
    for wrong in damaged(BEFORE.get(stage, ()), artifacts):
        raise UserError(wrong)


def damaged(stages: Iterable[str], artifacts: Artifacts) -> Iterator[str]:
    """What of these stages' is damaged or gone: each file with its remedy."""
    for earlier in stages:
        noted = read_receipt(artifacts.cost(earlier), LOST)
        for name, sha256 in noted.get(WROTE, {}).items():
            path = artifacts.root / name
            if not path.is_file():
                yield f"{path}: no such file. {remedy(earlier, artifacts)}"
            elif sha256_of(path) != sha256:
                what = f"damaged: no longer what the stage {earlier} wrote"
                yield f"{path}: {what}. {remedy(earlier, artifacts)}"


def remedy(stage: str, artifacts: Artifacts) -> str:
    """How a stage is run again."""
    own = artifacts.root != artifacts.shared
    command = f"python -m pipelines.{stage} --root {artifacts.root} --shared {artifacts.shared}"
    return f"Run that stage again: `{command if own else f'dvc repro --force {stage}'}`."
