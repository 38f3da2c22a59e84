"""A finished run as its folder or MLflow has it: what it was, what it answered, what it cost."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from graftwork.config.errors import UserError
from graftwork.config.yaml_text import from_yaml
from graftwork.recording.finished_runs import artifact, opened
from graftwork.recording.tracked_params import flat
from graftwork.reporting.run_names import IGNORED
from graftwork.selecting.luck import answers
from graftwork.storage.artifacts import Artifacts

if TYPE_CHECKING:
    from mlflow import MlflowClient

RUN = "run:"  # before the id of a run, where a folder might stand
SEED = "seed"
FILES = ("metrics.json", "predictions.parquet", "params.yaml")  # of a run's artifacts


@dataclass(frozen=True)
class Recorded:
    """One run."""

    word: str  # by which the user named it
    params: dict[str, str]  # flat
    predictions: Path  # of the test pictures
    pictures: bytes  # digest of which these are, and of what class
    right: np.ndarray  # bool [n], in one order for the same pictures
    result: dict[str, Any]  # metrics.json

    @property
    def seed(self) -> str:
        return self.params.get(SEED, "")

    @property
    def run_id(self) -> str:
        return str(self.result.get("run_id") or Path(self.word).absolute())

    @property
    def settings(self) -> dict[str, str]:
        """What decides the result, but the seed: runs that share it are told together."""
        rest = {key: value for key, value in self.params.items() if key != SEED}
        return {key: value for key, value in rest.items() if not key.startswith(IGNORED)}

    @property
    def seconds(self) -> float:
        """Wall clock of all stages."""
        return float(sum(self.result["cost"]["seconds"].values()))


def recorded(words: Iterable[str], root: Path, folder: Path) -> list[Recorded]:
    """The runs that the user named.

    Args:
        words: folders of experiments, or `run:ID`.
        root: the project's folder, in whose store recorded runs are looked up.
        folder: for what is brought from there.

    Raises:
        UserError: one is no finished run, or its test was not looked at.
    """
    client: MlflowClient | None = None
    found = []
    for word in words:
        if word.startswith(RUN):
            client = client or opened(root)[0]
            paths = list(_brought(client, word.removeprefix(RUN), folder / word[len(RUN) :][:32]))
        else:
            artifacts = Artifacts.at(word)
            paths = [artifacts.metrics, artifacts.predictions, artifacts.params]
        found.append(_read(word, *paths))
    return found


def _brought(client: MlflowClient, run_id: str, folder: Path) -> Iterator[Path]:
    from mlflow.exceptions import MlflowException

    try:
        place = client.get_run(run_id).info.artifact_uri
    except MlflowException as error:
        raise UserError(
            f"RUN: there is no run '{run_id}' in this project's store. `graftwork results` shows "
            "ids; --root names another project."
        ) from error
    folder.mkdir(exist_ok=True)
    for name in FILES:
        yield artifact(client, place, name, folder) or folder / name


def _read(word: str, metrics: Path, predictions: Path, params: Path) -> Recorded:
    for path in (metrics, params):
        if not path.is_file():
            raise UserError(
                f"RUN: {word}: no {path.name}. Name a finished run: its folder or run:ID."
            )
    if not predictions.is_file():
        raise UserError(
            f"RUN: {word}: its test was not looked at. Of a sweep's jobs only the winner's is: "
            "evaluation.test_in_sweeps=all."
        )
    pictures, right = answers(predictions)
    settings = flat(from_yaml(params.read_text("utf-8")))
    result = json.loads(metrics.read_text("utf-8"))
    return Recorded(word, settings, predictions, pictures, right, result)
