"""Handing a model over by name: MLflow's registry, which a worse model does not enter unseen.

Whoever loads `models:/produce@champion` gets what holds that alias. A model that is to take it is
first compared with the holder, on the same test pictures, picture by picture.
"""

from __future__ import annotations

import json
import re
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from graftwork.config.errors import UserError
from graftwork.evaluating.paired_answers import top1_gain
from graftwork.recording.finished_runs import artifact, opened
from graftwork.storage.artifacts import Artifacts

if TYPE_CHECKING:
    import pandas as pd
    from mlflow import MlflowClient
    from mlflow.entities import Run
    from mlflow.entities.model_registry import ModelVersion

    from graftwork.metrics.paired import Estimate

PREDICTIONS = "predictions.parquet"  # of a run's artifacts
CHAMPION = "champion"  # the alias whose holder others are compared with
CONFIDENCE = 0.95  # of the paired difference: below 1 - this, a loss is taken for one
NAME = re.compile(r"[\w][\w .\-]{0,120}")
TOLD = (
    *("test/top1", "test/top1_low", "test/top1_high", "test/log_loss"),
    *("selection/top1", "selection/expected_top1"),
)
DIGESTS = ("data.digest", "data.test_digest", "weights.sha256")


@dataclass(frozen=True)
class Verdict:
    """How a model compares with the one that holds the alias."""

    words: str
    is_worse: bool  # significantly
    is_known: bool  # whether the two could be compared


def register(root: Path, run: str, name: str, alias: str | None, *, force: bool) -> list[str]:
    """Makes a recorded model a version of the registered model `name`.

    Args:
        root: the project's folder.
        run: `run:ID`, or the folder of an experiment of this project.
        alias: that it gets; None: none, and it is compared with the champion all the same.
        force: even where it is worse than the holder of the alias, or cannot be compared with it.

    Returns:
        What was done, in sentences.

    Raises:
        UserError: there is no such run, model or name; or it is refused.
    """
    for word, value in (("--name", name), ("--alias", alias or CHAMPION)):
        if not NAME.fullmatch(value):
            raise UserError(f"{word}: '{value}'. Legal: letters, digits, '_', '-', '.', ' '.")
    client, _ = opened(root)
    found = _run(client, run)
    holder = holder_of(client, name, alias or CHAMPION)
    verdict = _verdict(client, found, holder, alias or CHAMPION)
    if not force and (verdict.is_worse or (alias and not verdict.is_known)):
        raise UserError(f"{verdict.words} Nothing was registered; --force does it all the same.")
    version = _version(client, found, name, verdict)
    said = [f"{name}: version {version.version}, run {found.info.run_id}.", verdict.words]
    if alias:
        client.set_registered_model_alias(name, alias, version.version)
        said.append(f"models:/{name}@{alias} is version {version.version} from now on.")
    return said


def _run(client: MlflowClient, word: str) -> Run:
    from mlflow.exceptions import MlflowException

    run_id = word.removeprefix("run:") if word.startswith("run:") else _of_folder(Path(word))
    try:
        run = client.get_run(run_id)
    except MlflowException as error:
        if error.error_code != "RESOURCE_DOES_NOT_EXIST":
            raise
        raise UserError(
            f"RUN: there is no run {run_id} in this project's store. Name the project's folder "
            "with --root."
        ) from error
    if run.info.status != "FINISHED":
        raise UserError(f"RUN: {run_id} is {run.info.status}. Only what is finished is handed on.")
    if not _models(run):
        raise UserError(f"RUN: no model was recorded with {run_id} (tracking.log_model=false).")
    return run


def _models(run: Run) -> list[str]:
    """The ids of the models that were recorded with it."""
    return [output.model_id for output in run.outputs.model_outputs] if run.outputs else []


def _of_folder(folder: Path) -> str:
    place = Artifacts.at(folder).run
    if not place.is_file():
        raise UserError(
            f"RUN: {place}: no such file. Give the folder of a finished experiment, or run:ID; "
            "`graftwork results` shows both."
        )
    return str(json.loads(place.read_text("utf-8"))["run_id"])


def holder_of(client: MlflowClient, name: str, alias: str) -> ModelVersion | None:
    """The version that has the alias; None where nobody does."""
    from mlflow.exceptions import MlflowException

    try:
        return client.get_model_version_by_alias(name, alias)
    except MlflowException as error:
        if error.error_code in ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"):
            return None
        raise


def _verdict(client: MlflowClient, run: Run, holder: ModelVersion | None, alias: str) -> Verdict:
    """By the answers that both gave to the same test pictures."""
    if holder is None:
        return Verdict(f"Nobody holds the alias {alias}: nothing to compare with.", False, True)
    who = f"{alias} (version {holder.version})"
    if holder.run_id == run.info.run_id:
        return Verdict(f"It is the {who} itself.", False, True)
    answers = [_answers(client, one) for one in (run, client.get_run(str(holder.run_id)))]
    if answers[0] is None or answers[1] is None:
        words = f"Not compared with {who}: the answers of one to its test are not recorded."
        return Verdict(words, False, False)
    gain = top1_gain(answers[0], answers[1], CONFIDENCE)
    if gain is None:
        return Verdict(f"Not compared with {who}: it was tested on other pictures.", False, False)
    return _told(*gain, who)


def _told(gain: Estimate, pictures: int, who: str) -> Verdict:
    is_told = gain.p < 1 - CONFIDENCE
    ends = f"{100 * gain.low:+.1f} to {100 * gain.high:+.1f}"
    way = "worse" if gain.value < 0 else "better"
    words = (
        f"Top-1 {100 * gain.value:+.1f} points ({ends}) against {who} on the same "
        f"{pictures} test pictures, p = {gain.p:.2g}: "
        + (f"{way} than chance explains." if is_told else "no more than chance explains.")
    )
    return Verdict(words, is_told and gain.value < 0, True)


def _answers(client: MlflowClient, run: Run) -> pd.DataFrame | None:
    """Its predictions of the test pictures, from its artifacts."""
    import pandas as pd

    with tempfile.TemporaryDirectory() as folder:
        path = artifact(client, run.info.artifact_uri, PREDICTIONS, Path(folder))
        columns = ["sha256", "class", "predicted"]
        return None if path is None else pd.read_parquet(path, columns=columns)


def _version(client: MlflowClient, run: Run, name: str, verdict: Verdict) -> ModelVersion:
    """The version of this run, made where there is none."""
    from mlflow.exceptions import MlflowException

    try:
        client.create_registered_model(name)
    except MlflowException as error:
        if error.error_code != "RESOURCE_ALREADY_EXISTS":
            raise
    for known in client.search_model_versions(f"name = '{name}'"):
        if known.run_id == run.info.run_id:
            return known
    (model, *_), source = _models(run), "models:/{}"
    if not client.tracking_uri.startswith("http"):
        # In a database MLflow would look for the model in the store of the process, not this one.
        source = str(client.get_logged_model(model).artifact_location)
    return client.create_model_version(
        name,
        source=source.format(model),
        model_id=model,
        run_id=run.info.run_id,
        tags=_tags(client, run),
        description=verdict.words,
    )


def _tags(client: MlflowClient, run: Run) -> dict[str, str]:
    """What whoever chooses a version wants to know of it: data, scores with intervals, exports."""
    data = {name: run.data.tags[name] for name in DIGESTS if name in run.data.tags}
    scores = {name: f"{run.data.metrics[name]:.4f}" for name in TOLD if name in run.data.metrics}
    folders = [file.path for file in client.list_artifacts(run.info.run_id) if file.is_dir]
    listed = [
        file.path for name in folders for file in client.list_artifacts(run.info.run_id, name)
    ]
    certificates = [path for path in listed if path.endswith("certificate.json")]
    found = {**data, **scores, "certificates": ", ".join(certificates)}
    return {key: value for key, value in found.items() if value}
