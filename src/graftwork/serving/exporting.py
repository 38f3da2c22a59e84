"""An export with its certificate: written, opened by its runtime, and held against the model."""

from __future__ import annotations

import json
import platform
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from graftwork.config.errors import UserError, check_choice
from graftwork.model_folder import contents as model_folder
from graftwork.model_folder.contents import Contract
from graftwork.process.installed import releases
from graftwork.serving.certificate import answers, compared
from graftwork.serving.exported_network import ExportedNetwork
from graftwork.serving.format import TAKES, Format, Run
from graftwork.serving.formats import named
from graftwork.serving.real_photos import RealPhotos
from graftwork.storage.files import sha256_of

CERTIFICATE = "certificate.json"


@dataclass(frozen=True)
class Wanted:
    """What is to be written."""

    format: str
    precision: str
    takes: str  # photos of any size, or views

    def checked(self) -> Format:
        """The format. Raises UserError for what it cannot be."""
        check_choice("--takes", self.takes, TAKES)
        kind = named(self.format)
        kind.check(self.format, self.precision, self.takes)
        return kind

    @property
    def name(self) -> str:
        """Of its folder."""
        return "-".join(
            [self.format, self.precision, *(["views"] if self.takes == "views" else [])]
        )


@dataclass(frozen=True)
class Exported:
    """An export in its folder."""

    run: Run
    network: ExportedNetwork
    certificate: dict[str, Any]  # what certificate.json says, but for speed


def export(model: Path, wanted: Wanted, photos: RealPhotos, folder: Path) -> Exported:
    """Writes the files of an export into a folder, opens them and asks them about photos.

    Raises:
        UserError: the format cannot express this network, or a photo cannot be read.
    """
    kind = wanted.checked()
    classifier, contract = model_folder.load(model)
    body = wanted.precision if wanted.precision in kind.halved else "fp32"
    network = ExportedNetwork(classifier, contract, wanted.takes, body)
    int8 = wanted.precision == "int8"
    calibration = list(photos.inputs(wanted.takes, contract)) if int8 else []
    about = described(contract, wanted, kind)
    try:
        facts = kind.write(network, folder, wanted.precision, calibration, about)
        run = kind.load(folder, wanted.precision)
    except Exception as error:  # whatever an exporter or a runtime may raise
        reason = " ".join(str(error).split())[:300] or type(error).__name__
        raise UserError(
            f"--format: {wanted.format} in {wanted.precision} cannot express this network "
            f"({reason}). Choose another format or precision."
        ) from error
    found = answers(run, photos, classifier, contract, network.photo_view)
    certificate = {
        "format": wanted.format,
        "precision": wanted.precision,
        "takes": wanted.takes,
        "files": {name: _file(folder / name) for name in kind.files},
        "model": {"weights_sha256": contract.weights_sha256, "data_digest": contract.data_digest},
        "runtimes": releases(*kind.runtimes, *(["nncf"] if int8 else [])) | facts,
        "machine": platform.machine(),
        "tried_on": photos.origin,
        "calibrated_on": f"{len(calibration)} {photos.calibration_origin}" if int8 else None,
        "tolerance": vars(kind.tolerances[wanted.precision]),
        **compared(found, photos.labels),
    }
    return Exported(run, network, certificate)


def described(contract: Contract, wanted: Wanted, kind: Format) -> Mapping[str, str]:
    """What stands in the file itself: all that a program needs to know of it."""
    spec = contract.input_spec
    pixels = "H, W" if wanted.takes == "photos" else f"{spec.size}, {spec.size}"
    return {
        "classes": json.dumps(contract.classes, ensure_ascii=False),
        "input": f"images: uint8 RGB [B, {pixels}, 3], upright, as decoded: not normalised",
        "output": "logits: float32 [B, classes]; softmax gives probabilities",
        "takes": wanted.takes,
        "view": json.dumps(
            {
                "size": spec.size,
                "crop_pct": spec.crop_pct,
                "interpolation": spec.interpolation,
                "decoded_side": contract.preprocessing.decoded_side,
            }
        ),
        "precision": wanted.precision,
        "weights_sha256": json.dumps(contract.weights_sha256),
        "made_by": json.dumps(releases("graftwork", *kind.runtimes)),
    }


def _file(path: Path) -> dict[str, Any]:
    return {"bytes": path.stat().st_size, "sha256": sha256_of(path)}
