"""`graftwork export`: a file that other programs open, with a certificate of what it says."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import numpy as np

from graftwork.config.errors import UserError
from graftwork.model_folder import contents as model_folder
from graftwork.process.terminal import visible, visible_lines
from graftwork.profiling.timing import timed
from graftwork.recording.named_models import RUN, named_model
from graftwork.recording.opening import noted_run
from graftwork.recording.registered_models import REGISTERED
from graftwork.reporting import certificate_page
from graftwork.serving.certificate import what_differs
from graftwork.serving.exporting import CERTIFICATE, Exported, Wanted, export
from graftwork.serving.format import Run, Tolerance
from graftwork.serving.real_photos import RealPhotos, of_experiment, of_folder
from graftwork.storage.artifacts import Artifacts
from graftwork.storage.files import write_json
from graftwork.storage.swapping import swapped_in

log = logging.getLogger(__name__)
PAGE = "certificate.html"
BATCH = 16  # pictures at a time, for the throughput
SECONDS = 1.0  # about so long each speed is measured


def run(word: str, wanted: Wanted, to: Path | None, photos: Path | None, root: Path) -> Path:
    """Writes the export's folder, whole or not at all, and says what it is. Returns the folder.

    Args:
        word: as of `named_model`.
        to: the folder; None: `exports/NAME` of the model's run, or here.
        photos: a folder of photos to try it on; None: those of the model's run.
        root: of the project, in whose store runs are recorded.

    Raises:
        UserError: something is missing, or the export differs from the model.
    """
    kind = wanted.checked()
    if to is not None and to.exists() and not to.is_dir():
        raise UserError(f"--to: {to} is no folder. Name one; it may be new.")
    project = Artifacts.at(root)
    model = named_model(word, project)
    contract = model_folder.read_contract(model)
    is_brought = word.startswith((RUN, REGISTERED))
    place = project if is_brought else Artifacts.at(model.absolute().parent)
    tried = of_folder(photos, contract) if photos else of_experiment(place, contract)
    target = to or (place.exports if place.params.is_file() else Path("exports")) / wanted.name
    with swapped_in(target, CERTIFICATE) as partial:
        made = export(model, wanted, tried, partial)
        _refuse(made.certificate, kind.tolerances[wanted.precision])
        certificate = {**made.certificate, "speed": _speeds(made, model, tried)}
        write_json(partial / CERTIFICATE, certificate)
        page = certificate_page.page(certificate, contract.classes, model.absolute().parent.name)
        (partial / PAGE).write_text(page, encoding="utf-8")
    for line in certificate_page.sentences(certificate):
        print(line)
    print(f"written  {visible(target.absolute())}")
    run_id = model.name if is_brought else noted_run(place)
    if run_id and place.params.is_file():
        _record(target, wanted.name, run_id, place, project)
    return target


def _refuse(certificate: dict[str, Any], tolerance: Tolerance) -> None:
    if why := what_differs(certificate, tolerance):
        name = f"{certificate['format']} in {certificate['precision']}"
        raise UserError(
            f"--format: {name} is refused: {why} Nothing was written. Choose another precision or "
            "format."
        )


def _speeds(made: Exported, model: Path, photos: RealPhotos) -> dict[str, Any]:
    """Of the export by its runtime and the model in torch, the same pixels: ms and images/s."""
    from graftwork.features.engines.torch_engine import eager_features

    classifier, contract = model_folder.load(model)
    seen = photos.seen(photos.refs[0], contract)
    shown = seen.pixels if made.network.takes == "photos" else seen.view

    def own(images: np.ndarray) -> np.ndarray:
        return eager_features(classifier, images, classifier)

    return {
        "batch": BATCH,
        "pixels": f"{shown.shape[1]} x {shown.shape[0]}",
        "export": _speed(made.run, shown),
        "model": _speed(own, seen.view),
    }


def _speed(run: Run, shown: np.ndarray) -> dict[str, Any]:
    alone, together = (np.repeat(shown[None], count, axis=0) for count in (1, BATCH))
    single = timed(lambda: _once(run, alone), SECONDS)
    many = timed(lambda: _once(run, together), SECONDS)
    return {
        "latency_ms": 1000 * single.low,
        "images_per_s": BATCH / many.low,
        "machine": many.machine,
    }


def _once(run: Run, images: np.ndarray) -> None:
    run(images)


def _record(folder: Path, name: str, run_id: str, place: Artifacts, project: Artifacts) -> None:
    """Certificate and page go to the model's run; a store that is away costs no export."""
    from graftwork.recording.finished_runs import recorded_at
    from graftwork.recording.mlflow_store import check_recorded, open_store

    try:
        uri = recorded_at(place.params)
        if uri is None:
            check_recorded(project)
        client = open_store(uri, project)
        for file in (CERTIFICATE, PAGE):
            client.log_artifact(run_id, str(folder / file), f"exports/{name}")
    except Exception as error:  # of a store, whatever it may raise
        log.warning("%s", visible_lines(f"not recorded in MLflow: {error}"))
        return
    print(f"recorded  run {run_id}, exports/{name}")
