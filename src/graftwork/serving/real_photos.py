"""Photos that an export is tried on: those of the model's own data, or a folder's."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from graftwork.config.components import build
from graftwork.config.errors import UserError
from graftwork.config.yaml_text import from_yaml
from graftwork.data import manifest
from graftwork.data.datasets.base import Dataset
from graftwork.data.datasets.class_folders import pictures
from graftwork.data.images import UnreadableImage, decode, eval_view, fit_side
from graftwork.serving.views import view_of
from graftwork.storage.artifacts import Artifacts
from graftwork.storage.files import read_json

if TYPE_CHECKING:
    import pandas as pd

    from graftwork.model_folder.contents import Contract

MOST = 1000  # photos; more tell little more
CALIBRATING = 300  # as NNCF advises


@dataclass(frozen=True)
class Seen:
    """One photo, all uint8 RGB."""

    pixels: np.ndarray  # [H, W, 3], as any program decodes it
    resized: np.ndarray  # [S, S, 3], what evaluation makes of these very pixels
    view: np.ndarray  # [S, S, 3], what evaluation sees of the file


@dataclass(frozen=True)
class RealPhotos:
    """Photos by name, with what is known of them."""

    origin: str  # in words
    refs: Sequence[str]
    labels: np.ndarray  # int [n]; -1 where nobody knows
    calibration: Sequence[str]  # those that int8 is fitted on
    calibration_origin: str
    read: Callable[[str], bytes]

    def seen(self, ref: str, contract: Contract) -> Seen:
        """Raises UserError where it is no photo any more."""
        limits = contract.preprocessing
        try:
            content = self.read(ref)
            pixels = decode(content, limits.max_pixels)
            view = view_of(content, contract)
        except (OSError, UnreadableImage) as error:
            reason = getattr(error, "strerror", None) or error
            raise UserError(
                f"{ref}: {reason}. Bring it back, or name other photos with --photos."
            ) from error
        fitted = eval_view(fit_side(pixels, limits.decoded_side), contract.input_spec)
        return Seen(pixels, fitted, view)

    def inputs(self, takes: str, contract: Contract) -> Iterator[np.ndarray]:
        """Those that int8 is fitted on, as an export takes them, `[1, H, W, 3]`."""
        for ref in self.calibration:
            seen = self.seen(ref, contract)
            yield (seen.pixels if takes == "photos" else seen.view)[None]


def of_experiment(artifacts: Artifacts, contract: Contract) -> RealPhotos:
    """The test photos, or where there are none, those that training saw.

    Raises:
        UserError: what an experiment leaves is not there, or of other classes.
    """
    if not (artifacts.params.is_file() and artifacts.manifest.is_file()):
        raise UserError(
            f"{artifacts.root}: no experiment with photos lies here. Name real ones with "
            "--photos FOLDER: an export is tried before it is kept."
        )
    classes = read_json(artifacts.classes, "Run `dvc repro prepare`.")
    if classes != contract.classes:
        raise UserError(
            f"{artifacts.classes}: its classes are not the model's. Name photos with --photos."
        )
    frame = manifest.read(artifacts.manifest)
    trained = _some(manifest.of_split(frame, "train"), CALIBRATING)
    tested = _some(manifest.of_split(frame, "test"), MOST)
    split = "test photos" if len(tested) else "training photos"
    rows = tested if len(tested) else _some(manifest.of_split(frame, "train"), MOST)
    if not len(rows):
        raise UserError(f"{artifacts.manifest}: no photos. Name some with --photos FOLDER.")
    labels = rows["label"].to_numpy()
    refs, calibration = list(rows["path"]), list(trained["path"]) or list(rows["path"])
    return RealPhotos(split, refs, labels, calibration, "training photos", _opener(artifacts))


def _opener(artifacts: Artifacts) -> Callable[[str], bytes]:
    """The data set's; of settings of another version, that of files, which photos mostly are."""
    params = from_yaml(artifacts.params.read_text("utf-8"))
    try:
        return build(params["dataset"], Dataset, "dataset").open  # type: ignore[type-abstract]
    except UserError:
        return _content


def of_folder(folder: Path, contract: Contract) -> RealPhotos:
    """Photos at any depth; a folder that is named for a class labels those in it.

    Those that cannot be read are left out, and counted in `origin`.

    Raises:
        UserError: there is no such folder, or no photo in it.
    """
    if not folder.is_dir():
        raise UserError(f"--photos: no such folder: {folder}.")
    found = [str(path) for path in pictures(folder, folder.absolute().parent)]
    if not found:
        raise UserError(f"--photos: {folder} holds no photos. Name one that does.")
    wanted = [found[place] for place in _spread(len(found), MOST)]
    chosen = [ref for ref in wanted if _is_readable(ref, contract)]
    if not chosen:
        raise UserError(f"--photos: none of {len(wanted)} photos in {folder} can be read.")
    lost = len(wanted) - len(chosen)
    origin = f"photos of {folder.name}" + (
        f" ({lost} that cannot be read left out)" if lost else ""
    )
    label = {name: index for index, name in enumerate(contract.classes)}
    labels = np.array([label.get(Path(ref).parent.name, -1) for ref in chosen])
    few = [chosen[place] for place in _spread(len(chosen), CALIBRATING)]
    return RealPhotos(origin, chosen, labels, few, "the same photos", _content)


def _content(ref: str) -> bytes:
    return Path(ref).read_bytes()


def _is_readable(ref: str, contract: Contract) -> bool:
    try:
        decode(Path(ref), contract.preprocessing.max_pixels)
    except UnreadableImage:
        return False
    return True


def _some(rows: pd.DataFrame, most: int) -> pd.DataFrame:
    return rows.iloc[_spread(len(rows), most)]


def _spread(count: int, most: int) -> np.ndarray:
    """Places of at most so many, evenly over all."""
    return np.unique(np.linspace(0, count - 1, min(count, most)).round().astype(int))
