"""`graftwork export`: what is written is what the model says, or nothing is written."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from untrained_model import untrained

from graftwork.cli import export as command
from graftwork.config.errors import UserError
from graftwork.metrics.paired import mean_over
from graftwork.model_folder.contents import read_contract
from graftwork.models.network.classifier import Classifier
from graftwork.serving import real_photos
from graftwork.serving.certificate import Answers, compared, what_differs
from graftwork.serving.exporting import Wanted
from graftwork.serving.format import Tolerance
from graftwork.serving.formats.torchscript import TorchScript
from graftwork.serving.photo_view import PhotoView
from graftwork.storage.artifacts import Artifacts

WANTED = Wanted("torchscript", "fp32", "photos")  # the quickest to write


@pytest.fixture
def job(
    tmp_path: Path, tiny_params: Callable[..., dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> Artifacts:
    """An experiment with a model of random weights and 15 test photos."""
    monkeypatch.setattr(command, "SECONDS", 0.0)
    monkeypatch.setattr(command, "BATCH", 2)
    return untrained(tiny_params(), tmp_path)[1]


def exported(job: Artifacts, **changed: Any) -> dict[str, Any]:
    """What certificate.json says of an export of the job's model."""
    given = {"wanted": WANTED, "to": None, "photos": None, "root": job.shared} | changed
    folder = command.run(str(job.root), **given)
    return json.loads((folder / "certificate.json").read_text())


def test_the_certificate_says_what_was_measured(
    job: Artifacts, capsys: pytest.CaptureFixture[str]
) -> None:
    said = exported(job)
    folder = job.exports / "torchscript-fp32"
    names = {"model.pt", "certificate.json", "certificate.html"}
    assert {path.name for path in folder.iterdir()} == names
    assert said["photos"] == 15 and said["tried_on"] == "test photos"
    assert said["network"]["largest_difference"] < 1e-5 and said["network"]["flips"] == 0
    assert 0 < said["levels"] < 0.6 and said["evaluation"]["largest_difference"] < 0.1
    accuracy = said["accuracy"]
    assert accuracy["photos"] == 15 and accuracy["difference"]["value"] == 0
    assert accuracy["export"] == accuracy["model"]
    assert said["files"]["model.pt"]["bytes"] == (folder / "model.pt").stat().st_size
    assert said["speed"]["export"]["images_per_s"] > 0 and said["runtimes"]["torch"]
    page = (folder / "certificate.html").read_text()
    assert "0 of 15 answers are others" in page and "blue, green, red" in page
    assert "written" in capsys.readouterr().out


def test_views_are_exactly_those_of_evaluation(job: Artifacts, tmp_path: Path) -> None:
    said = exported(job, wanted=Wanted("torchscript", "fp32", "views"), to=tmp_path / "new" / "x")
    assert said["levels"] == 0 and said["evaluation"] == said["network"]
    assert (tmp_path / "new" / "x" / "model.pt").is_file()


@pytest.fixture
def wrong(monkeypatch: pytest.MonkeyPatch) -> Callable[[Any, str, Any], None]:
    """`wrong(owner, name, value)` for what exports are made of, and for that alone."""
    write = TorchScript.write

    def patched(owner: Any, name: str, value: Any) -> None:
        def writing(*arguments: Any) -> dict[str, str]:
            with pytest.MonkeyPatch.context() as patch:
                patch.setattr(owner, name, value)
                return write(*arguments)

        monkeypatch.setattr(TorchScript, "write", writing)

    return patched


def refusal(job: Artifacts, wanted: Wanted = WANTED) -> str:
    """Why the export is refused; nothing is left behind."""
    with pytest.raises(UserError) as found:
        exported(job, wanted=wanted)
    assert not job.exports.exists() or not list(job.exports.iterdir())
    return str(found.value)


def test_blue_in_the_place_of_red_is_refused(job: Artifacts, wrong: Any) -> None:
    right = Classifier.normalise
    wrong(Classifier, "normalise", lambda self, images: right(self, images.flip(3)))
    views = Wanted("torchscript", "fp32", "views")
    assert "probabilities are not the model's" in refusal(job, views)


def test_another_mean_is_refused(job: Artifacts, wrong: Any) -> None:
    right = Classifier.normalise
    wrong(Classifier, "normalise", lambda self, images: right(self, images) + 0.05)
    assert "probabilities are not the model's" in refusal(job)


def test_another_interpolation_is_refused(job: Artifacts, wrong: Any) -> None:
    """In the file alone: as a runtime's own resizing may be."""
    wrong(PhotoView, "forward", _by_torch)
    assert "probabilities are not the model's" in refusal(job)


def test_another_interpolation_in_all_exports_is_refused(
    job: Artifacts, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As if this project's own matrices were others."""
    monkeypatch.setattr(PhotoView, "forward", _by_torch)
    assert "Photos are resized or cropped in another way" in refusal(job)


def _by_torch(self: PhotoView, photos: torch.Tensor) -> torch.Tensor:
    pixels = photos.permute(0, 3, 1, 2).float()
    size = (self.size, self.size)
    return torch.nn.functional.interpolate(pixels, size, mode="nearest").round()


def test_a_network_that_a_format_cannot_express_is_said(
    job: Artifacts, monkeypatch: pytest.MonkeyPatch
) -> None:
    def write(*_: Any) -> dict[str, str]:
        raise RuntimeError("no such operator")

    monkeypatch.setattr(TorchScript, "write", write)
    why = "torchscript in fp32 cannot express this network (no such operator)"
    assert why in refusal(job)


def test_an_earlier_export_stays_where_a_new_one_is_refused(job: Artifacts, wrong: Any) -> None:
    exported(job)
    before = (job.exports / "torchscript-fp32" / "model.pt").read_bytes()
    right = Classifier.normalise
    wrong(Classifier, "normalise", lambda self, images: right(self, images) + 0.05)
    with pytest.raises(UserError, match="is refused"):
        exported(job)
    assert (job.exports / "torchscript-fp32" / "model.pt").read_bytes() == before


def test_photos_that_are_named_are_labelled_by_their_folders(
    job: Artifacts, tmp_path: Path
) -> None:
    alone = tmp_path / "alone"
    job.model.rename(alone)
    with pytest.raises(UserError, match="Name real ones with --photos FOLDER"):
        command.run(str(alone), WANTED, tmp_path / "x", None, tmp_path)
    photos = tmp_path / "photos" / "test"
    folder = command.run(str(alone), WANTED, tmp_path / "x", photos, tmp_path)
    said = json.loads((folder / "certificate.json").read_text())
    assert said["tried_on"] == "photos of test" and said["accuracy"]["photos"] == 15


def test_it_is_recorded_in_the_models_run(
    job: Artifacts, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    from graftwork.recording import mlflow_store

    sent: list[tuple[str, str, str]] = []

    class Client:
        def log_artifact(self, run_id: str, path: str, folder: str) -> None:
            sent.append((run_id, Path(path).name, folder))

    monkeypatch.setattr(mlflow_store, "check_recorded", lambda _: None)
    monkeypatch.setattr(mlflow_store, "open_store", lambda *_: Client())
    job.run.write_text('{"run_id": "0123"}')
    exported(job)
    place = "exports/torchscript-fp32"
    assert sent == [("0123", name, place) for name in ("certificate.json", "certificate.html")]

    def away(*_: Any) -> None:
        raise OSError("away")

    monkeypatch.setattr(mlflow_store, "open_store", away)
    command._record(job.root, "name", "0123", job, job)
    assert "not recorded in MLflow: away" in caplog.text


def test_differences_are_counted() -> None:
    model = np.array([[0.9, 0.1], [0.4, 0.6], [0.2, 0.8], [0.7, 0.3]])
    export = np.array([[0.8, 0.2], [0.6, 0.4], [0.2, 0.8], [0.7, 0.3]])
    found = Answers(export, model, model, np.array([0.1, 0.3, 0.2, 0.0]))
    said = compared(found, np.array([0, 1, 1, -1]))
    assert said["network"]["flips"] == 1 and said["levels"] == 0.3
    assert said["network"]["largest_difference"] == pytest.approx(0.2)
    assert said["network"]["mean_difference"] == pytest.approx(0.3 / 4)
    assert said["accuracy"]["export"] == pytest.approx(2 / 3) and said["accuracy"]["model"] == 1
    gain = mean_over(np.array([[0.0, -1.0, 0.0]]), 0.95)
    assert said["accuracy"]["difference"] == vars(gain)
    assert not what_differs(said, Tolerance(0.21, 0.08))
    assert "the largest difference is 0.2, 0.19" in what_differs(said, Tolerance(0.19, 0.08))
    assert "the mean difference is 0.075, 0.07" in what_differs(said, Tolerance(0.21, 0.07))
    said["network"]["largest_difference"] = float("nan")
    assert what_differs(said, Tolerance(1.0, 1.0))


def test_many_photos_are_tried_evenly(job: Artifacts, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(real_photos, "MOST", 4)
    monkeypatch.setattr(real_photos, "CALIBRATING", 3)
    contract = read_contract(job.model)
    photos = real_photos.of_experiment(job, contract)
    assert len(photos.refs) == len(photos.labels) == 4 and len(photos.calibration) == 3
    assert all("/train/" in ref for ref in photos.calibration)
    assert all("/test/" in ref for ref in photos.refs)
    assert len(list(photos.inputs("views", contract))) == 3
