"""Probabilities are the same whatever the processes and threads, and equal plain computation."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from forked_commands import ForkedCommands, without_torchrun
from untrained_model import untrained

from graftwork.config.errors import UserError
from graftwork.evaluating import probabilities as split_predictions
from graftwork.evaluating import several_views
from graftwork.experiment import Experiment
from graftwork.features.engines import running
from graftwork.features.engines.trained import AnswersVerdict, lead
from graftwork.process import distributed
from graftwork.storage.artifacts import Artifacts
from graftwork.storage.files import seal

ENGINES = ("eager", "auto", "torch")
SEVERAL_PROCESSES = """
import numpy as np
from graftwork.process import distributed
from graftwork.data import manifest
from graftwork.storage.artifacts import Artifacts
from graftwork.experiment import Experiment
from test_probabilities import looked_by

import argparse
parser = argparse.ArgumentParser()
parser.add_argument("--root")
parser.add_argument("--shared")
options = parser.parse_args()
artifacts = Artifacts.at(options.root, options.shared)
frame = manifest.of_split(manifest.read(artifacts.manifest), "test")
found = looked_by(Experiment.from_file(artifacts.params), artifacts, frame)
np.save(artifacts.root / f"rank{distributed.rank()}of{distributed.world_size()}.npy", found)
"""


def looked_by(experiment: Experiment, artifacts: Artifacts, frame: Any) -> np.ndarray:
    """Of each engine what it says by one view and by all: `[engines, 2, n, num_classes]`."""
    found = []
    with distributed.joined():
        for engine in ENGINES:
            evaluation = replace(experiment.evaluation, engine=engine)
            asked = replace(experiment, evaluation=evaluation)
            looked = several_views.looked(asked, artifacts, frame)
            found.append([looked.one, looked.mean])
            assert looked.engine is not None and (engine == "eager" or looked.engine["asked_again"])
    return np.array(found)


@pytest.fixture
def prepared(tmp_path: Path, tiny_params: Callable[..., Any]) -> Callable[..., Any]:
    """`prepared(*overrides)`: an experiment on 15 test photos, with a model folder."""

    def make(*overrides: str, trained_share: float = 1.0) -> tuple[Experiment, Artifacts, Any]:
        params = tiny_params("extraction.batch_size=2", *overrides)
        return untrained(params, tmp_path, trained_share)

    return make


def plainly(experiment: Experiment, artifacts: Artifacts, frame: Any) -> np.ndarray:
    """Picture by picture, in the frame's order."""
    import torch

    from graftwork.data.images import DecodedImages, eval_view
    from graftwork.model_folder import contents as model_folder

    classifier, _ = model_folder.load(artifacts.model)
    images = DecodedImages(artifacts, experiment.dataset)
    rows = []
    with torch.inference_mode():
        for sha256, path in zip(frame["sha256"], frame["path"], strict=True):
            view = eval_view(images.get(sha256, path), classifier.input_spec)
            logits = classifier(classifier.normalise(torch.from_numpy(view[None].copy())))
            rows.append(torch.softmax(logits, 1)[0].numpy())
    return np.stack(rows)


def test_processes_and_threads_change_nothing(
    prepared: Callable[..., Any],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    trainings: ForkedCommands,
) -> None:
    """15 pictures in 8 batches over gloo processes: bit-identical to one process."""
    wanted = ("trainer.accelerator=cpu", "augmentation=light", "evaluation.views=4")
    experiment, artifacts, frame = prepared(*wanted, "evaluation.precision=auto")
    expected = plainly(experiment, artifacts, frame)
    # What is stored of the choice of an engine asks for half of the pictures again.
    tie = float(np.median(lead(expected, np.log(expected))))
    of = AnswersVerdict.of
    monkeypatch.setattr(AnswersVerdict, "of", lambda *args: replace(of(*args), tie=tie))
    found = looked_by(experiment, artifacts, frame)
    for engine, (one, mean) in zip(ENGINES, found, strict=True):
        assert one.shape == (15, 3) and len(np.unique(one, axis=0)) == 15
        assert one == pytest.approx(expected, abs=1e-5 if engine == "eager" else 0.02)  # bf16
        assert np.abs(mean - one).max() > 1e-4
    with monkeypatch.context() as patched:
        patched.setattr(running, "cores", lambda: 5)
        assert (looked_by(experiment, artifacts, frame) == found).all()
    (tmp_path / "measured.py").write_text(SEVERAL_PROCESSES)
    for folder in (Path(__file__).parents[1], Path(__file__).parent, tmp_path):
        monkeypatch.syspath_prepend(folder)
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    for count, start in ((2, subprocess), (3, without_torchrun(trainings))):
        monkeypatch.setattr(distributed, "subprocess", start)
        assert distributed.relaunched(count, artifacts, "measured")
        for rank in range(count):
            saved = np.load(artifacts.root / f"rank{rank}of{count}.npy")
            assert (saved == found).all()


def test_stored_features_times_head(
    prepared: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A backbone that ended as it began needs no network here, whatever the strategy trained."""
    import torch

    from graftwork.features import feature_store as features
    from graftwork.model_folder import contents as model_folder

    experiment, artifacts, frame = prepared("transfer/start=random", trained_share=0.0)
    rows = np.random.default_rng(0).normal(size=(15, 64)).astype(np.float32)
    classifier, _ = model_folder.load(artifacts.model)
    rows = rows[:, : classifier.num_features]
    monkeypatch.setattr(features, "features_of", lambda *_: rows)
    monkeypatch.setattr(model_folder, "load", None)
    found = several_views.looked(experiment, artifacts, frame).one
    with torch.inference_mode():
        expected = torch.softmax(classifier.head(torch.from_numpy(rows)), 1).numpy()
    assert found == pytest.approx(expected, abs=1e-6)


def test_a_model_of_an_earlier_version_is_refused(prepared: Callable[..., Any]) -> None:
    _, artifacts, _ = prepared()
    contract = json.loads((artifacts.model / "model.json").read_text())
    del contract["training"]["trained_share"]
    (artifacts.model / "model.json").write_text(json.dumps(seal(contract)))
    with pytest.raises(UserError, match="trained_share.*Run the stage finetune again"):
        split_predictions.needs_network(artifacts)


def test_softmax_never_exceeds_one() -> None:
    found = split_predictions.softmax(np.array([[1e4, 0, -1e4], [1, 1, 1]], np.float32))
    assert found.dtype == np.float32
    assert found.tolist() == [[1, 0, 0], pytest.approx([1 / 3] * 3)]
    assert found.max() <= 1
