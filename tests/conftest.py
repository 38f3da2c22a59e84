"""Small real things that many tests share: a folder of photos, a composed configuration."""

from __future__ import annotations

import gc
import json
import os
import shutil
import signal
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from functools import cache
from pathlib import Path
from typing import Any

import composed_once
import numpy as np
import pytest
import yaml
from changed import WHOLE_RUNS
from forked_commands import HEAVY, ForkedCommands, without_torchrun
from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf
from PIL import Image

from graftwork.process import distributed
from graftwork.recording import mlflow_store
from graftwork.storage.artifacts import Artifacts

# libyaml's parser, as commands use it: composing is reading.
yaml.SafeLoader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # type: ignore[misc]
composed_once.install()
# As in a command: looking through all that imports leave takes a tenth of the time.
gc.set_threshold(50_000, 20, 20)
# A shell that starts tests in the background has them ignore Ctrl-C, and all that they start too.
signal.signal(signal.SIGINT, signal.default_int_handler)

CONF = Path(__file__).parents[1] / "conf"
ELSEWHERE = "/a/folder"  # stands for the folder of a test, so that tests share what is composed
TINY = (
    "dataset=folder",
    f"dataset.path={ELSEWHERE}",
    "model=tiny_cnn",
    "transfer=from_scratch",
    "trainer=smoke",
    "evaluation.bootstrap_samples=100",
    "evaluation.engine=eager",  # converting takes longer than so few photos
)
COLOURS = {"blue": (40, 60, 200), "green": (50, 180, 60), "red": (200, 40, 50)}


def composed(*overrides: str) -> dict[str, Any]:
    """The parameters that these overrides make of conf/, as DVC composes them."""
    return json.loads(_composed(overrides))


@cache
def _composed(overrides: tuple[str, ...]) -> str:
    """As JSON, of which everyone gets a copy of its own: composing takes a fifth of a second."""
    with initialize_config_dir(str(CONF), version_base=None):
        config = compose("config", overrides=list(overrides))
        return json.dumps(OmegaConf.to_container(config, resolve=True))


def draw_photo(path: Path, colour: tuple[int, int, int], seed: int, side: int = 40) -> None:
    """A noisy patch of one colour: learnable in one epoch, different for every seed."""
    path.parent.mkdir(parents=True, exist_ok=True)
    noise = np.random.default_rng(seed).normal(0, 25, (side, side + seed % 7, 3))
    Image.fromarray(np.clip(noise + colour, 0, 255).astype(np.uint8)).save(path, quality=92)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What runs whole experiments comes first: begun last, it would keep one process busy while the
    other has nothing left to do."""
    items.sort(key=lambda item: not any(item.path.match(name) for name in WHOLE_RUNS))


def pytest_collection_finish() -> None:
    """What is imported and collected by now stays: no look for garbage need go through it."""
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="session", autouse=True)
def tables_made_once(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """MLflow's fifty migrations take a second or two: further databases are copies of the first."""
    make, first = mlflow_store._make_tables, tmp_path_factory.mktemp("tables") / "mlflow.db"

    def made_or_copied(path: Path, artifacts: Artifacts) -> None:
        if not first.exists():
            make(path, artifacts)
            shutil.copy(path, first)
            return
        shutil.copy(first, path)
        with closing(sqlite3.connect(path)) as database, database:
            place = f"{artifacts.mlflow_artifacts.as_uri()}/0"  # MLflow's own experiment
            database.execute("UPDATE experiments SET artifact_location = ?", (place,))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(mlflow_store, "_make_tables", made_or_copied)
        yield


@pytest.fixture(scope="session")
def trainings() -> Iterator[ForkedCommands]:
    """`trainings.run(arguments, folder)`: `python -m ...` where torch and all are imported."""
    places = os.pathsep.join([str(CONF.parent / "src"), str(CONF.parent)])
    found = ForkedCommands({**os.environ, "PYTHONPATH": places}, HEAVY)
    yield found
    found.close()


@pytest.fixture
def forked_processes(trainings: ForkedCommands, monkeypatch: pytest.MonkeyPatch) -> None:
    """A stage's processes are forked and import nothing; tests/evaluating/test_probabilities.py has
    torchrun start them."""
    monkeypatch.setattr(distributed, "subprocess", without_torchrun(trainings))


@pytest.fixture
def quiet_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    """As if nothing else ran: what is measured is kept, whatever runs beside the tests."""
    from graftwork.profiling import timing

    monkeypatch.setattr(timing.Times, "machine", timing.UNDISTURBED)


@pytest.fixture(scope="session")
def drawn_photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What `tiny_folder` is a copy of, for who changes nothing there."""
    root = tmp_path_factory.mktemp("drawn") / "photos"
    seed = 0
    for split, count in (("train", 8), ("val", 3), ("test", 5)):
        for name, colour in COLOURS.items():
            for index in range(count):
                draw_photo(root / split / name / f"{index}.jpg", colour, seed)
                seed += 1
    return root


@pytest.fixture
def tiny_folder(drawn_photos: Path, tmp_path: Path) -> Path:
    """Three classes by colour; train 8, val 3, test 5 JPEGs a class (15 test photos: odd)."""
    return shutil.copytree(drawn_photos, tmp_path / "photos")


@pytest.fixture
def tiny_params(tiny_folder: Path) -> Callable[..., dict[str, Any]]:
    """`tiny_params(*overrides)`: tiny_cnn from scratch on the tiny folder, in seconds."""

    def params(*overrides: str) -> dict[str, Any]:
        text = _composed((*TINY, *overrides))
        return json.loads(text.replace(json.dumps(ELSEWHERE), json.dumps(str(tiny_folder))))

    return params
