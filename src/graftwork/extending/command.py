"""`graftwork add-class`: a model that knows a class more, in seconds."""

from __future__ import annotations

import hashlib
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from graftwork.config.errors import UserError
from graftwork.data import manifest
from graftwork.data.datasets.class_folders import pictures
from graftwork.data.images import DecodedImages
from graftwork.experiment import Experiment
from graftwork.extending.model_features import STORED, ModelFeatures
from graftwork.extending.new_class import Before, Compared, Labelled, compared, fitted, part_for
from graftwork.extending.new_class import recall as recall_of
from graftwork.features.engines.loading import Picture
from graftwork.model_folder import contents as model_folder
from graftwork.model_folder.contents import (
    BACKBONE,
    CONTRACT,
    Contract,
    Preprocessing,
)
from graftwork.model_folder.saving import StoredBackbone, save
from graftwork.models.network.tensors import placed
from graftwork.process.terminal import visible
from graftwork.recording.named_models import named_model
from graftwork.reporting.numbers import percent
from graftwork.serving.folder_names import folder_names
from graftwork.serving.places import project_of
from graftwork.serving.reading import Photo
from graftwork.storage.artifacts import Artifacts

ADDED = "added_classes"  # of the contract's `training`: name, folder, photos, digest, before


@dataclass(frozen=True)
class Known:
    """A run whose model is given a class more."""

    folder: Path  # the model folder
    contract: Contract
    experiment: Experiment
    artifacts: Artifacts

    @classmethod
    def of(cls, word: str) -> Known:
        """Raises UserError where the photos of the old classes are not at hand."""
        folder = named_model(word, Artifacts.at("."))
        contract = model_folder.read_contract(folder)
        root = folder.absolute().parent
        project = project_of(folder)
        artifacts = Artifacts.at(root, project.root if project else None)
        if not (artifacts.manifest.is_file() and artifacts.params.is_file()):
            raise UserError(
                f"MODEL: {folder}: a new head is computed from photos of the old classes, too, and "
                "there is no data/manifest.parquet of them beside it. Name a run's folder."
            )
        model = cls(folder, contract, Experiment.from_file(artifacts.params), artifacts)
        model._check()
        return model

    def _check(self) -> None:
        head, _ = model_folder.read_head(self.folder)
        if head.reads_maps:
            raise UserError(
                f"MODEL: {self.folder}: its head reads maps and not features, so no head can be "
                "computed. Train anew with the class's photos in the data set."
            )
        dataset = self.experiment.dataset
        if self.contract.preprocessing != Preprocessing(dataset.decoded_side, dataset.max_pixels):
            raise UserError(
                f"{self.artifacts.params}: prepares photos otherwise than {self.folder / CONTRACT} "
                "says. Restore it as it was in training."
            )
        old = self.contract.classes[: len(self.contract.classes) - len(self.added)]
        if old != manifest.read_classes(self.artifacts.classes):
            raise UserError(
                f"MODEL: {self.folder}: knows other classes than {self.artifacts.classes}. Name a "
                "model of that run."
            )

    @property
    def added(self) -> list[dict[str, Any]]:
        """Classes that were added before."""
        return list(self.contract.training.get(ADDED, []))


def add_class(word: str, name: str, photos: Path, to: Path | None) -> Path:
    """Writes a model folder with a class more, and says what that does to the old ones.

    Args:
        word: names a run's model.
        name: of the new class.
        photos: folder of its photos.
        to: the new model folder; None: beside the old one, called after the class.

    Raises:
        UserError: something is missing or wrong.
    """
    begun = time.perf_counter()
    known = Known.of(word)
    if name in known.contract.classes or not name.strip():
        raise UserError(f"NAME: '{name}' is a class already, or empty. Choose another name.")
    target = to or known.artifacts.root / f"model-with-{folder_names([name])[0]}"
    if target.exists():
        raise UserError(f"--to: {target} is there already. Remove it, or name another by --to.")
    frame = manifest.usable(manifest.read(known.artifacts.manifest))
    rows = [Picture(*pair) for pair in zip(frame["sha256"], frame["path"], strict=True)]
    images = DecodedImages(known.artifacts, known.experiment.dataset)
    features = ModelFeatures(known.folder, known.artifacts, rows, images)
    old = Labelled(features.of_pictures(rows), frame["label"].to_numpy())
    test = (frame["split"] == "test").to_numpy()
    parts = [Labelled(old.features[~test], old.labels[~test])]
    for label, entry in enumerate(known.added, len(known.contract.classes) - len(known.added)):
        parts.append(_again(features, entry, label))
    label = len(known.contract.classes)
    kept, new = _photos_of(features, photos, set(frame["sha256"]))
    parts.append(Labelled(new, np.full(len(new), label)))
    every = Labelled(*(np.concatenate([getattr(p, f) for p in parts]) for f in vars(parts[0])))
    part = part_for(known.experiment.transfer.head_init, known.contract.training)
    head = fitted(part, every, label + 1, known.experiment.seed)
    before = Before(*model_folder.read_head(known.folder), label)
    confidence = known.experiment.evaluation.confidence
    found = compared(before, head, Labelled(old.features[test], old.labels[test]), confidence)
    entry = {"name": name, "folder": str(photos.absolute()), **_digest(kept)}
    entry["before"] = {"classes": label, "weights_sha256": known.contract.weights_sha256}
    _save(known, target, name, head, entry)
    _tell(found, recall_of(head, every.labels, label), name, len(kept))
    print(f"model  {visible(target.absolute())}  ({time.perf_counter() - begun:.1f} s)")
    return target


def _photos_of(
    features: ModelFeatures, folder: Path, others: set[str]
) -> tuple[list[str], np.ndarray]:
    """sha256 of the photos in a folder, each content once, and their features.

    Raises:
        UserError: too few can be read, or one is a photo of another class.
    """
    if not folder.is_dir():
        raise UserError(f"FOLDER: {folder}: no such folder. Name one that holds the photos.")
    paths = [str(path) for path in pictures(folder, folder.absolute().parent)]
    photos, rows = features.of_files(paths)
    readable = list(dict.fromkeys(p.sha256 for p in photos if _is_readable(p)))
    for photo in photos:
        if not _is_readable(photo):
            print(f"left out: {visible(photo.path)}: {visible(photo.reason)}", file=sys.stderr)
        elif photo.sha256 in others:
            raise UserError(
                f"FOLDER: {visible(photo.path)} is a photo of another class of the run, byte by "
                "byte. Remove it from one of the two."
            )
    if len(readable) < 2:
        raise UserError(f"FOLDER: {folder} holds {len(readable)} photos. Give two at least.")
    return readable, rows


def _is_readable(photo: Photo) -> bool:
    return photo.reason in ("", STORED)


def _again(features: ModelFeatures, entry: dict[str, Any], label: int) -> Labelled:
    """The photos of a class that was added before."""
    kept, rows = _photos_of(features, Path(entry["folder"]), set())
    if _digest(kept)["digest"] != entry["digest"]:
        raise UserError(
            f"MODEL: the photos of its class '{entry['name']}' in {entry['folder']} are others "
            "than when it was added. Bring those back, or begin with the model before."
        )
    return Labelled(rows, np.full(len(rows), label))


def _digest(sha256s: Sequence[str]) -> dict[str, Any]:
    text = " ".join(sorted(sha256s))
    return {"photos": len(sha256s), "digest": hashlib.sha256(text.encode()).hexdigest()}


def _save(known: Known, target: Path, name: str, head: Any, entry: dict[str, Any]) -> None:
    contract = known.contract
    text = f"{contract.data_digest} {entry['name']} {entry['digest']}"
    weights = StoredBackbone(
        known.folder / BACKBONE, contract.weights_sha256[BACKBONE], placed(head.tensors, "head.")
    )
    save(
        target, weights, experiment=known.experiment, head=head.head,
        input_spec=contract.input_spec, classes=[*contract.classes, name],
        training={**contract.training, ADDED: [*known.added, entry]},
        pretrained=contract.pretrained,
        data_digest=hashlib.sha256(text.encode()).hexdigest(),
    )  # fmt: skip


def _tell(found: Compared | None, recall: tuple[float, int] | None, name: str, count: int) -> None:
    if recall is not None:
        print(
            f"{visible(name)}: {count} photos; {percent(recall[0])} of {recall[1]} found by heads "
            "that had not seen them (a random fifth at a time: photos of one series flatter)"
        )
    if found is None:
        print("The old classes have no test photos: what they lose is not known.")
        return
    gain = found.difference
    print(
        f"old classes, {found.pictures} test photos: top-1 {percent(found.before)} before, "
        f"{percent(found.after)} after: {100 * gain.value:+.1f} points "
        f"({100 * gain.low:+.1f} to {100 * gain.high:+.1f}, p {gain.p:.2g}), "
        f"{found.called_new} of them called {visible(name)}"
    )
