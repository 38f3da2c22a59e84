"""Which photos are looked at, decoded as evaluation decodes them. Needs no torch."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from graftwork.config.errors import UserError
from graftwork.data.datasets.class_folders import pictures
from graftwork.data.images import UnreadableImage
from graftwork.model_folder.contents import Contract
from graftwork.serving.views import view_of

if TYPE_CHECKING:
    import pandas as pd

COLUMNS = ("sha256", "path", "class", "predicted", "probability")


@dataclass(frozen=True)
class Photo:
    """A photo as the network sees it, and what evaluation recorded of it."""

    name: str  # of the file
    view: np.ndarray  # uint8 RGB [size, size, 3], not normalised
    actual: int | None  # label; None: not known
    predicted: int | None  # recorded label; None: never evaluated
    probability: float | None  # recorded, of the predicted class


@dataclass(frozen=True)
class Answers:
    """Test photos with their recorded answers, and how many there are of each kind."""

    right: list[Photo]
    wrong: list[Photo]
    all_right: int
    all_wrong: int


def answers(predictions: Path, contract: Contract, count: int) -> Answers:
    """Right and wrong answers of the trained model, at most `count` of each.

    Wrong ones by confidence, the surest first. Right ones likewise, but every class has its turn
    before one comes again: the surest six are often six photos of one class.

    Raises:
        UserError: no predictions, of another model, or a photo has gone or changed.
    """
    frame = _read(predictions)
    strangers = sorted((set(frame["class"]) | set(frame["predicted"])) - set(contract.classes))
    if strangers:
        raise UserError(
            f"{predictions}: knows the class '{strangers[0]}', the model does not. "
            "Evaluate this model first: dvc repro evaluate."
        )
    frame = frame.sort_values(["probability", "sha256"], ascending=[False, True])
    correct = frame["class"] == frame["predicted"]
    right, wrong = frame[correct], frame[~correct]
    turn = right.groupby("class").cumcount()
    right = right.assign(turn=turn).sort_values(["turn"], kind="stable")
    return Answers(
        _recorded(right.head(count), contract),
        _recorded(wrong.head(count), contract),
        len(right),
        len(wrong),
    )


def _read(path: Path) -> pd.DataFrame:
    import pandas as pd

    if not path.is_file():
        raise UserError(
            f"{path}: no such file. Evaluate the model first (dvc repro), name the experiment's "
            "folder with --root, or the photos to look at with --photos."
        )
    try:
        return pd.read_parquet(path, columns=list(COLUMNS))
    except (OSError, ValueError, KeyError) as error:  # ArrowInvalid is a ValueError
        reason = str(error).splitlines()[0]
        raise UserError(f"{path}: cannot be read ({reason}). Run `dvc repro evaluate`.") from error


def _recorded(frame: pd.DataFrame, contract: Contract) -> list[Photo]:
    index = {name: label for label, name in enumerate(contract.classes)}
    return [
        Photo(
            name=Path(row["path"]).name,
            view=_view(Path(row["path"]), contract, row["sha256"]),
            actual=index[row["class"]],
            predicted=index[row["predicted"]],
            probability=float(row["probability"]),
        )
        for row in frame.to_dict("records")
    ]


def given(paths: Sequence[Path], contract: Contract, count: int) -> tuple[list[Photo], int]:
    """Photos whose answers nobody knows, and how many were named.

    Args:
        paths: files, and folders that hold photos at any depth.
        count: the first so many are opened.

    Raises:
        UserError: there is no such photo, or it cannot be read as one.
    """
    files: list[Path] = []
    for path in paths:
        if not path.exists():
            raise UserError(f"--photos: no such file or folder: {path}.")
        if not (path.is_dir() or path.is_file()):  # opening a pipe would wait for ever
            raise UserError(f"--photos: {path} is a pipe, a socket or a device, and no photo.")
        found = list(pictures(path, path.absolute().parent)) if path.is_dir() else [path]
        if not found:
            raise UserError(f"--photos: {path} holds no photos. Name one that does.")
        files += found
    opened = [Photo(f.name, _view(f, contract), None, None, None) for f in files[:count]]
    return opened, len(files)


def _view(path: Path, contract: Contract, sha256: str | None = None) -> np.ndarray:
    try:
        content = path.read_bytes()
        if sha256 is not None and hashlib.sha256(content).hexdigest() != sha256:
            raise UserError(f"{path}: no longer the photo that was evaluated. Run `dvc repro`.")
        return view_of(content, contract)
    except OSError as error:
        raise UserError(
            f"{path}: {error.strerror}. The predictions name this photo: bring it back, or name "
            "others with --photos."
        ) from error
    except UnreadableImage as error:
        raise UserError(f"{path}: {error}. Name another photo with --photos.") from error
