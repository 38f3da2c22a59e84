"""Every kind of file that the project writes, damaged in three ways: noticed before it is used.

What can be made again is, with a warning that names the file (none where it is merely gone); the
rest is named with its remedy. Never a traceback, never another number.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from finished_project import DAMAGES, Project, copied, finish, flipped, replace, truncated
from tiny_experiment import usable

from graftwork.config.errors import UserError
from graftwork.data.images import DecodedImages
from graftwork.data.preparing import passed_over
from graftwork.features.feature_store import features_of, frozen_network
from graftwork.housekeeping import verification
from graftwork.model_folder import contents as model_folder
from graftwork.models.pretrained import weights_receipt
from graftwork.profiling.keys import profile_key
from graftwork.profiling.stored import static_costs
from graftwork.selecting.held_out import held_out
from graftwork.selecting.stored_match import stored
from graftwork.storage import handover
from graftwork.storage.array_store import ArrayStore
from graftwork.storage.files import DamageWarning, sha256_of
from graftwork.transfer.bound.answers import Answers, kept
from pipelines import download, evaluate, extract_features, finetune
from pipelines.stage import check_recorder, measured

Use = Callable[[Project], Any]


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Project:
    return finish(tmp_path_factory.mktemp("finished"))


@pytest.fixture(scope="module")
def known() -> dict[Use, Any]:
    """What each use gives where nothing is damaged."""
    return {}


def features(project: Project) -> np.ndarray:
    return project.features()


def features_run_anew(project: Project) -> np.ndarray:
    for path in project.artifacts.features.glob("*/*.*"):
        path.unlink()
    return project.features()


def decoded(project: Project) -> np.ndarray:
    images = DecodedImages(project.artifacts, project.experiment.dataset)
    frame = usable(project.artifacts)
    pairs = zip(frame["sha256"], frame["path"], strict=True)
    return np.concatenate([images.get(*pair).ravel() for pair in pairs])


def backbone(project: Project) -> str:
    return sha256_of(frozen_network(project.experiment, project.artifacts).tensors)


def fold(project: Project) -> np.ndarray:
    experiment, artifacts = project.experiment, project.artifacts
    look = lambda rows: features_of(experiment, artifacts, rows)  # noqa: E731
    found = held_out(experiment, usable(artifacts), 3, look, stored(artifacts.folds))
    return found.head_fold


def profile(project: Project) -> dict[str, Any]:
    return static_costs(project.experiment.model, 3, project.artifacts)


def weights(project: Project) -> str:
    download.run(project.experiment, project.artifacts)
    folder = project.artifacts.weights(project.experiment.model.name)
    return sha256_of(folder / weights_receipt(folder)["file"])


def listing(project: Project) -> dict[str, Any]:
    download.run(project.experiment, project.artifacts)
    return passed_over.read(project.artifacts.raw(project.experiment.dataset.name))


MADE_AGAIN: dict[str, tuple[str, Use]] = {
    "features": ("store/features/*/*.bin", features),
    "index of features": ("store/features/*/*.parquet", features),
    "decoded pictures": ("store/decoded/*/*.bin", decoded),
    "index of decoded pictures": ("store/decoded/*/*.parquet", decoded),
    "input of a network": ("store/networks/*/input_spec.json", features),
    "its tensors": ("store/networks/*/backbone.safetensors", backbone),
    "its layers": ("store/networks/*/network.xml", features_run_anew),
    "its weights": ("store/networks/*/network.bin", features_run_anew),
    "what these were": ("store/networks/*/network.json", features_run_anew),
    "compiled": ("store/networks/*/compiled/*", features_run_anew),
    "what was compiled": ("store/networks/*/compiled.json", features_run_anew),
    "choice of an engine": ("store/networks/*/verdict-*.json", features),
    "folds": ("store/folds/*.npz", fold),
    "profile": ("store/profiles/*.json", profile),  # counted; what is timed may lie beside it
    "weights": ("data/weights/*/*.pth", weights),
    "what these are": ("data/weights/*/weights.json", weights),
    "what download found": ("data/raw/*/source.json", listing),
}


def from_stage(stage: str) -> Use:
    """What a stage looks at before it begins."""
    return lambda project: handover.check(stage, project.artifacts)


def model(project: Project) -> Any:
    contract = model_folder.read_contract(project.artifacts.model)
    model_folder.check_whole(project.artifacts.model, contract)
    tensors = model_folder.read_tensors(project.artifacts.model, contract)
    return contract, {name: array.tobytes() for name, array in tensors.items()}


def recorded_model(project: Project) -> Any:
    (folder,) = project.artifacts.mlflow_artifacts.rglob("data/model")
    found = model_folder.read_contract(folder)
    return found, model_folder.read_tensors(folder, found).keys()


def recorded_runs(project: Project) -> None:
    check_recorder(project.experiment, project.artifacts)


def weights_before_download(project: Project) -> Any:
    return frozen_network(project.experiment, project.artifacts).classifier


NAMED: dict[str, tuple[str, Use]] = {
    "manifest": ("data/manifest.parquet", from_stage("extract_features")),
    "manifest, read": ("data/manifest.parquet", lambda project: usable(project.artifacts)),
    "classes": ("data/classes.json", from_stage("finetune")),
    "data report": ("data/report.json", from_stage("evaluate")),
    "receipt of the features": ("data/features.json", from_stage("finetune")),
    "how it was chosen": ("reports/selection.json", from_stage("evaluate")),
    "held-out predictions": ("reports/selection/held_out.parquet", from_stage("evaluate")),
    "what was trained": ("reports/audit/audit.json", from_stage("evaluate")),
    "curves": ("reports/history.csv", from_stage("evaluate")),
    "contract": ("model/model.json", model),
    "backbone": ("model/backbone.safetensors", model),
    "head": ("model/head.safetensors", model),
    "weights, used": ("data/weights/*/*.pth", weights_before_download),
    "recorded contract": ("mlartifacts/**/data/model/model.json", recorded_model),
    "recorded backbone": ("mlartifacts/**/data/model/backbone.safetensors", recorded_model),
    "recorded head": ("mlartifacts/**/data/model/head.safetensors", recorded_model),
    "recorded runs": ("mlflow.db", recorded_runs),
}


@pytest.mark.parametrize("damage", DAMAGES)
@pytest.mark.parametrize("kind", MADE_AGAIN)
def test_what_can_be_made_again_is(
    finished: Project, known: dict[Use, Any], tmp_path: Path, kind: str, damage: str
) -> None:
    pattern, use = MADE_AGAIN[kind]
    if use not in known:
        known[use] = use(copied(finished, tmp_path / "whole", "mlartifacts"))
    expected = known[use]
    project = copied(finished, tmp_path / "damaged", "mlartifacts")
    counted = profile_key(project.experiment.model, 3)
    found = sorted(project.artifacts.root.glob(pattern))
    path = next(path for path in found if kind != "profile" or path.stem == counted)
    DAMAGES[damage](path)
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        found = use(project)
    np.testing.assert_equal(found, expected)
    names = [str(entry.message) for entry in told if entry.category is DamageWarning]
    assert damage == "deleted" or any(path.stem in name for name in names), names
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # it has been mended: nothing is told a second time
        if "decoded" not in kind:  # that is for `prepare`
            np.testing.assert_equal(use(project), expected)


def test_a_damaged_picture_is_stored_again_by_the_next_prepare(
    finished: Project, tmp_path: Path
) -> None:
    from pipelines import prepare

    project = copied(finished, tmp_path / "damaged", "mlartifacts")
    expected = decoded(project)
    flipped(next(project.artifacts.decoded.glob("*/*.bin")))
    with pytest.warns(DamageWarning):
        np.testing.assert_equal(decoded(project), expected)
    with pytest.warns(DamageWarning):
        prepare.run(project.experiment, project.artifacts)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        np.testing.assert_equal(decoded(project), expected)


def test_a_store_that_lacks_nothing_is_not_written_to(finished: Project, tmp_path: Path) -> None:
    from pipelines import prepare

    project = copied(finished, tmp_path / "warm", "mlartifacts", ".lock")
    prepare.run(project.experiment, project.artifacts)
    assert not list(project.artifacts.store.glob("decoded/*/.lock")), "it may be read-only"


# Without these nothing is lost: nobody has recorded anything; a reader finds no whole row.
HARMLESS = {("recorded runs", "deleted")}


@pytest.mark.parametrize("damage", DAMAGES)
@pytest.mark.parametrize("kind", NAMED)
def test_what_cannot_be_made_again_is_named_with_the_remedy(
    finished: Project, tmp_path: Path, kind: str, damage: str
) -> None:
    pattern, use = NAMED[kind]
    without = () if pattern.startswith("mlartifacts") else ("mlartifacts",)
    project = copied(finished, tmp_path / "damaged", *without)
    (path,) = project.artifacts.root.glob(pattern)
    before = comparable(use(project))
    places = (0.01, 0.5, 0.99) if damage == "flipped" else (0.5,)
    content = path.read_bytes()
    for share in places:
        replace(path, content) if path.exists() else path.write_bytes(content)
        flipped(path, share) if damage == "flipped" else DAMAGES[damage](path)
        try:
            found = comparable(Project.at(project.artifacts.root) and use(project))
        except UserError as error:
            assert path.name in str(error), error
            assert any(word in str(error) for word in REMEDIES), error
        else:
            unread = (kind, damage) in HARMLESS or (path.name, damage) in UNREAD
            assert kind != "manifest", "a stage looks at all of it"
            assert unread and found == before, (kind, share)


REMEDIES = ("Run ", "run the stage", "Take ", "take all files", "Point to", "move it away")
# SQLite has no checksums: a bit of a value, or of a free page, cannot be seen.
# Of Parquet every page of values has a checksum, but not its notes on who wrote it, and with what.
UNREAD = {("mlflow.db", "flipped"), ("manifest.parquet", "flipped")}


def comparable(value: Any) -> str:
    if isinstance(value, pd.DataFrame):
        return value.to_json()
    return "" if value is None or isinstance(value, torch.nn.Module) else repr(value)


def test_a_stage_does_not_begin_on_damaged_input(finished: Project, tmp_path: Path) -> None:
    project = copied(finished, tmp_path / "damaged", "mlartifacts")
    flipped(project.artifacts.classes)
    with pytest.raises(UserError, match="classes.json: damaged: no longer what the stage prepare"):
        measured(evaluate.run, project.experiment, project.artifacts)


@pytest.mark.parametrize("stage", [extract_features, finetune, evaluate])
def test_a_stage_before_its_inputs_names_what_to_run(
    finished: Project, tmp_path: Path, stage: Any
) -> None:
    (tmp_path / "params.yaml").write_bytes(finished.artifacts.params.read_bytes())
    project = Project.at(tmp_path)
    with pytest.raises(UserError, match=r"manifest.parquet: no such file. Run `dvc repro"):
        measured(stage.run, project.experiment, project.artifacts)


def test_a_damaged_cost_file_costs_its_figures_alone(finished: Project, tmp_path: Path) -> None:
    project = copied(finished, tmp_path / "damaged", "mlartifacts")
    truncated(project.artifacts.cost("prepare"))
    with pytest.warns(DamageWarning, match="costs/prepare.json: damaged"):
        handover.check("evaluate", project.artifacts)


# What says what other files were: damaged, it hides whether they are.
RECORDS = (".parquet", "_spec.json", "network.json", "compiled.json", "weights.json", "model.json")
NO_HASH = ("mlflow.db", "source.json")


@pytest.mark.parametrize("records", [True, False])
def test_doctor_reads_and_compares_everything(
    finished: Project, tmp_path: Path, records: bool
) -> None:
    whole = copied(finished, tmp_path / "whole")
    assert verification.damaged(whole.artifacts) == []
    wrong = set()
    for pattern, _ in (MADE_AGAIN | NAMED).values():
        path = sorted(whole.artifacts.root.glob(pattern))[0]
        inside = pattern.startswith(("data/", "reports/")) and path.suffix == ".parquet"
        if path.name not in NO_HASH and (path.name.endswith(RECORDS) and not inside) == records:
            wrong.add(path)
    for path in wrong:
        flipped(path)
    said = "\n".join(verification.damaged(whole.artifacts))
    assert [path for path in wrong if path.with_suffix("").name not in said] == []


@pytest.mark.parametrize("damage", DAMAGES)
def test_damaged_answers_of_a_teacher_are_computed_again(tmp_path: Path, damage: str) -> None:
    asked: list[int] = []

    class Network(torch.nn.Module):
        def forward(self, views: torch.Tensor) -> torch.Tensor:
            asked.append(1)
            return views.float().flatten(1)[:, :3]

    views = torch.randint(0, 256, (4, 2, 2, 3), dtype=torch.uint8)

    def answered() -> torch.Tensor:
        answers = Answers(Network(), ArrayStore(tmp_path, "float32"), 4)  # type: ignore[arg-type]
        with kept(answers):
            return answers(views)

    before = answered()
    DAMAGES[damage](next(tmp_path.glob("*.bin")))
    with pytest.warns(DamageWarning):
        assert torch.equal(answered(), before)
    assert torch.equal(answered(), before) and len(asked) == 2
