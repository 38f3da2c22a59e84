"""MLflow's registry: who holds an alias is compared before it is taken away."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest
from mlflow import MlflowClient
from mlflow.entities import LoggedModelOutput

from graftwork.config.errors import UserError
from graftwork.evaluating.paired_answers import top1_gain
from graftwork.recording.mlflow_store import open_store
from graftwork.recording.registry import register
from graftwork.storage.artifacts import Artifacts

PICTURES = 100


@pytest.fixture
def client(tmp_path: Path) -> MlflowClient:
    return open_store(None, Artifacts.at(tmp_path))


@pytest.fixture
def recorded(client: MlflowClient, tmp_path: Path) -> Callable[..., str]:
    """`recorded(right)`: the folder of a finished run that gets so many test pictures right."""

    def made(right: int, *, first: int = 0, status: str = "FINISHED", model: bool = True) -> str:
        run = client.create_run("0", tags={"data.digest": "d1"})
        run_id, folder = run.info.run_id, tmp_path / run.info.run_id
        folder.mkdir()
        (folder / "run.json").write_text(json.dumps({"run_id": run_id}))
        path = folder / "predictions.parquet"
        answers(right, first).to_parquet(path)
        client.log_artifact(run_id, str(path))
        (folder / "certificate.json").write_text("{}")
        client.log_artifact(run_id, str(folder / "certificate.json"), "export")
        client.log_metric(run_id, "test/top1", right / PICTURES)
        if model:
            logged = client.create_logged_model("0", "model", source_run_id=run_id)
            client.finalize_logged_model(logged.model_id, "READY")
            client.log_outputs(run_id, [LoggedModelOutput(logged.model_id, step=0)])
        client.set_terminated(run_id, status)
        return str(folder)

    return made


def answers(right: int, first: int = 0) -> pd.DataFrame:
    """Of `PICTURES` pictures of one class, numbered from `first`."""
    said = ["a"] * right + ["b"] * (PICTURES - right)
    names = [f"{index:04d}" for index in range(first, first + PICTURES)]
    return pd.DataFrame({"sha256": names, "class": "a", "predicted": said})


def test_the_first_becomes_champion_and_says_what_it_is(client, recorded, tmp_path) -> None:
    folder = recorded(80)
    said = register(tmp_path, folder, "produce", "champion", force=False)
    version = client.get_model_version_by_alias("produce", "champion")
    assert said[-1] == "models:/produce@champion is version 1 from now on."
    assert version.run_id == Path(folder).name and "/models/m-" in version.source
    assert version.tags == {
        "data.digest": "d1", "test/top1": "0.8000", "certificates": "export/certificate.json",
    }  # fmt: skip


def test_a_worse_one_is_refused_with_its_loss_unless_it_is_forced(
    client, recorded, tmp_path
) -> None:
    register(tmp_path, recorded(80), "produce", "champion", force=False)
    worse = recorded(70)
    with pytest.raises(
        UserError, match=r"Top-1 -10\.0 points \(-1[56].* worse than chance"
    ) as told:
        register(tmp_path, worse, "produce", "champion", force=False)
    assert "against champion (version 1) on the same 100 test pictures" in str(told.value)
    with pytest.raises(UserError, match="worse than chance explains"):
        register(tmp_path, worse, "produce", None, force=False)
    assert len(client.search_model_versions("name = 'produce'")) == 1
    register(tmp_path, f"run:{Path(worse).name}", "produce", "champion", force=True)
    held = client.get_model_version_by_alias("produce", "champion")
    assert held.run_id == Path(worse).name and "-10.0 points" in held.description


def test_a_better_or_equal_one_takes_the_alias(client, recorded, tmp_path) -> None:
    register(tmp_path, recorded(80), "produce", "champion", force=False)
    said = register(tmp_path, recorded(79), "produce", "champion", force=False)
    assert "no more than chance explains" in said[1]
    better = recorded(95)
    said = register(tmp_path, better, "produce", "champion", force=False)
    assert "+16.0 points" in said[1] and "better than chance explains" in said[1]
    again = register(tmp_path, better, "produce", "champion", force=False)
    assert again[0] == said[0] and "It is the champion (version 3) itself" in again[1]


def test_what_cannot_be_compared_takes_no_alias_unseen(client, recorded, tmp_path) -> None:
    register(tmp_path, recorded(80), "produce", "champion", force=False)
    elsewhere = recorded(99, first=1)
    with pytest.raises(UserError, match="it was tested on other pictures. Nothing was registered"):
        register(tmp_path, elsewhere, "produce", "champion", force=False)
    said = register(tmp_path, elsewhere, "produce", None, force=False)
    assert said[0].startswith("produce: version 2") and len(said) == 2


@pytest.mark.parametrize(
    ("made", "message"),
    [
        ({"status": "FAILED"}, "is FAILED. Only what is finished"),
        ({"model": False}, "no model was recorded"),
    ],
)
def test_what_is_no_finished_model_is_refused(recorded, tmp_path, made, message) -> None:
    with pytest.raises(UserError, match=message):
        register(tmp_path, recorded(80, **made), "produce", None, force=False)


@pytest.mark.parametrize(
    ("run", "name", "message"),
    [
        ("run:0123", "produce", "there is no run 0123"),
        ("nowhere", "produce", "no such file"),
        ("run:0123", "a/../b", "--name: 'a/../b'"),
    ],
)
def test_wrong_words_are_named(client, tmp_path, run, name, message) -> None:
    with pytest.raises(UserError, match=message):
        register(tmp_path, run, name, None, force=False)


def test_answers_are_compared_by_picture_whatever_their_order() -> None:
    one, other = answers(80), answers(75)
    found = top1_gain(one, other.sample(frac=1, random_state=0), 0.95)
    assert found is not None and found[1] == PICTURES
    assert found[0].value == pytest.approx(0.05) and found[0].low > 0
    assert top1_gain(one, other.iloc[1:], 0.95) is None
    assert top1_gain(one, other.assign(**{"class": "b"}), 0.95) is None
