"""The stage on a tiny data set, for real: manifest in, model folder, curves and run.json out."""

from __future__ import annotations

import csv
import hashlib
import json
import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from mlflow import MlflowClient

from graftwork.config.errors import UserError
from graftwork.data import manifest
from graftwork.experiment import Experiment
from graftwork.model_folder import contents as model_folder
from graftwork.selecting.held_out import held_out
from graftwork.storage.artifacts import Artifacts
from graftwork.training.audit_record import Audit
from graftwork.training.graft_module import GraftModule
from graftwork.transfer.parts import Examples
from pipelines import download, finetune, prepare
from pipelines.stage import measured

Params = Callable[..., dict[str, Any]]
Stage = Callable[..., tuple[Experiment, Artifacts]]
FROZEN = ("transfer=linear_probe", "transfer/start=random")
BEST = ("transfer/average=best", "trainer.refit=never")
ENGINE = ("extraction.engine=torch", "extraction.precision=fp32")  # starts at once


@pytest.fixture
def stage(tmp_path: Path, tiny_params: Params) -> Stage:
    """`stage(*overrides)`: an experiment whose data is prepared."""

    def prepared(*overrides: str, root: str = "project") -> tuple[Experiment, Artifacts]:
        params = tiny_params("tracking.log_model=false", *ENGINE, *overrides)
        artifacts = Artifacts.at(tmp_path / root, tmp_path / "shared")
        artifacts.root.mkdir(exist_ok=True)
        artifacts.params.write_text(yaml.safe_dump(params))
        experiment = Experiment.from_params(params)
        download.run(experiment, artifacts)
        prepare.run(experiment, artifacts)
        return experiment, artifacts

    return prepared


def weights_sha256(artifacts: Artifacts) -> dict[str, str]:
    names = (model_folder.BACKBONE, model_folder.HEAD)
    return {
        name: hashlib.sha256((artifacts.model / name).read_bytes()).hexdigest() for name in names
    }


def history(artifacts: Artifacts) -> list[dict[str, str]]:
    with artifacts.history.open() as file:
        return list(csv.DictReader(file))


def test_training_leaves_a_model_its_curves_and_a_run(stage: Stage) -> None:
    experiment, artifacts = stage("trainer.limit_epochs=2", "selection=validation", *BEST)
    finetune.run(experiment, artifacts)
    classifier, contract = model_folder.load(artifacts.model)
    assert contract.classes == ["blue", "green", "red"]
    assert contract.pretrained is None
    assert contract.training["strategy"] == "from_scratch"
    assert contract.training["fitted"] == 24
    words = "9 photos were held out (the validation split) and chose the epoch"
    assert contract.training["selection"].startswith(words)
    parameters = sum(p.numel() for p in classifier.parameters())
    assert contract.training["trainable_parameters"] == parameters
    rows = history(artifacts)
    assert [row["epoch"] for row in rows] == ["1", "2"]
    assert {"train/loss", "val/loss", "val/top1", "lr"} <= set(rows[0])
    run_id = json.loads(artifacts.run.read_text())["run_id"]
    audit = Audit.read(artifacts.audit)
    assert audit is not None and [group.trained for group in audit.groups] == [
        sum(p.numel() for p in classifier.parameters_of(g)) for g in classifier.layer_groups()
    ]
    assert [(s.first, s.last) for s in audit.groups[-1].spans] == [(1, 2)]  # a training of two
    client = MlflowClient(f"sqlite:///{artifacts.mlflow_db}")
    recorded = client.get_run(run_id).data.metrics
    assert {name: recorded[name] for name in audit.moved} == pytest.approx(audit.moved)
    assert {file.path for file in client.list_artifacts(run_id, "audit")} == {
        "audit/audit.json", "audit/groups.csv",
    }  # fmt: skip
    unexpected = {path.name for path in artifacts.root.iterdir()} - {
        *("params.yaml", "data", "model", "reports", "run.json")
    }
    assert not unexpected


def test_the_same_seed_gives_the_same_bytes_and_another_seed_others(stage: Stage) -> None:
    found = []
    for seed in (0, 0, 1):
        experiment, artifacts = stage(f"seed={seed}", "trainer.limit_epochs=2")
        finetune.run(experiment, artifacts)
        found.append((weights_sha256(artifacts), artifacts.history.read_text()))
    assert found[0] == found[1] != found[2]


def test_watching_test_pictures_adds_their_curve_and_changes_nothing(stage: Stage) -> None:
    found = {}
    for watch in ("false", "true"):
        experiment, artifacts = stage(
            f"trainer.watch_test={watch}", "selection=none", "trainer.limit_epochs=2"
        )
        finetune.run(experiment, artifacts)
        found[watch] = weights_sha256(artifacts), history(artifacts)
    (weights, plain), (same, watched) = found["false"], found["true"]
    assert weights == same
    assert "test/top1" not in plain[0]
    tests = [float(row["test/top1"]) * 15 for row in watched]
    assert all(hits == pytest.approx(round(hits)) for hits in tests)  # of 15 test pictures
    assert [row["val/top1"] for row in watched] == ["", ""]
    assert model_folder.read_contract(artifacts.model).training["fitted"] == 33  # train and val


def test_a_probe_is_the_same_on_stored_and_on_live_features(stage: Stage) -> None:
    """The head and the predictions are bit-identical where nothing was ever stored."""
    from graftwork.data.images import DecodedImages, eval_view
    from graftwork.features.feature_store import frozen_network

    experiment, artifacts = stage(*FROZEN)
    finetune.run(experiment, artifacts)
    network = frozen_network(experiment, artifacts)
    verdict = network.known_verdict()
    engine = network.engine(verdict.engine, verdict.precision)
    images = DecodedImages(artifacts, experiment.dataset)
    frame = manifest.read(artifacts.manifest)

    def live(rows: Any) -> np.ndarray:
        size = experiment.extraction.batch_size
        views = np.zeros((-(-len(rows) // size) * size, 32, 32, 3), np.uint8)
        for place, (sha256, path) in enumerate(zip(rows["sha256"], rows["path"], strict=True)):
            views[place] = eval_view(images.get(sha256, path), network.input_spec)
        parts = [engine(views[start : start + size]) for start in range(0, len(views), size)]
        return np.concatenate(parts)[: len(rows)]

    chooses = held_out(experiment, frame, 3, live)
    rows, fold = chooses.rows, chooses.head_fold
    found = experiment.transfer.head_init.fit(Examples(live(rows), chooses.labels, 3, fold, 0))
    contract = model_folder.read_contract(artifacts.model)
    tensors = model_folder.read_tensors(artifacts.model, contract)
    np.testing.assert_array_equal(tensors["head.weight"], found.tensors["weight"])
    np.testing.assert_array_equal(tensors["head.bias"], found.tensors["bias"])

    from graftwork.features.feature_store import features_of

    test = manifest.of_split(frame, "test")
    stored = found.logits(features_of(experiment, artifacts, test))
    np.testing.assert_array_equal(stored, found.logits(live(test)))
    assert (stored.argmax(1) == test["label"]).mean() > 0.6


def test_a_probe_leaves_the_backbone_and_says_how_it_was_chosen(stage: Stage) -> None:
    from graftwork.features.engines import backbone

    experiment, artifacts = stage(*FROZEN)
    finetune.run(experiment, artifacts)
    classifier, contract = model_folder.load(artifacts.model)
    start = backbone.build(experiment, artifacts).backbone.state_dict()
    after = classifier.backbone.state_dict()
    assert all((tensor == after[name]).all() for name, tensor in start.items())
    assert contract.weights_sha256 == weights_sha256(artifacts)
    assert contract.training["epochs"] == 0
    assert contract.training["fitted"] == 33  # train and val
    assert contract.training["strength"] in experiment.transfer.head_init.strengths
    row = history(artifacts)[0]
    assert row["epoch"] == "0" and 0 <= float(row["probe/cv_top1"]) <= 1


def test_heads_share_the_file_of_their_backbone(stage: Stage) -> None:
    from graftwork.features.feature_store import frozen_network

    hashes = []
    for strength in ("1e-2", "1e-4"):
        experiment, artifacts = stage(*FROZEN, f"transfer.head_init.strengths=[{strength}]")
        for _ in range(2):  # doing it again finds the link of before
            finetune.run(experiment, artifacts)
            kept = frozen_network(experiment, artifacts).tensors
            assert (artifacts.model / model_folder.BACKBONE).samefile(kept)
        hashes.append(weights_sha256(artifacts))
    assert hashes[0][model_folder.BACKBONE] == hashes[1][model_folder.BACKBONE]
    assert hashes[0][model_folder.HEAD] != hashes[1][model_folder.HEAD]


def test_lp_ft_starts_from_the_converged_probe(stage: Stage) -> None:
    """With a learning rate of nearly nothing the head is the probe's."""
    heads = []
    quiet = ("transfer=lp_ft", "transfer/start=random", "transfer.rates.step=1e-12")
    quiet += ("transfer.average.trained_shares=[1]", "trainer.refit=again")
    for overrides in (FROZEN, quiet):
        experiment, artifacts = stage(*overrides)
        finetune.run(experiment, artifacts)
        contract = model_folder.read_contract(artifacts.model)
        heads.append(model_folder.read_tensors(artifacts.model, contract)["head.weight"])
    np.testing.assert_allclose(heads[1], heads[0], rtol=1e-4, atol=1e-6)
    assert contract.training["epochs"] == 2  # without those held out, and again on everything
    assert [row["epoch"] for row in history(artifacts)] == ["0", "1", "2"]


def test_divergence_keeps_no_model(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    experiment, artifacts = stage()
    monkeypatch.setattr("graftwork.transfer.rates.Uniform.of", lambda self, *_: float("inf"))
    with pytest.raises(UserError, match="training diverged: .* no numbers.*transfer.rates"):
        finetune.run(experiment, artifacts)
    assert not (artifacts.model / "model.json").exists()
    assert "nan" in artifacts.history.read_text()  # what it came to can be seen


def test_a_preempted_training_ends_with_143_and_no_model(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    experiment, artifacts = stage()
    real = GraftModule.training_step

    def asked(module: GraftModule, *batch: Any) -> Any:
        os.kill(os.getpid(), signal.SIGTERM)
        return real(module, *batch)

    monkeypatch.setattr(GraftModule, "training_step", asked)
    with pytest.raises(SystemExit) as stopped:
        measured(finetune.run, experiment, artifacts)
    assert stopped.value.code == 143
    assert not (artifacts.model / "model.json").exists()
    assert not artifacts.cost("finetune").exists()


@pytest.mark.usefixtures("forked_processes")
def test_two_processes_train_what_one_does(stage: Stage) -> None:
    """Frozen statistics: the gradients of a batch are the same, however it is shared, here also in
    three passes instead of one; those of low-rank updates here, of a network's own weights in
    tests/test_outside_parts.py."""
    common = ("transfer.batch_norm=frozen", "selection=validation", "trainer.limit_batches=null")
    common += (
        "transfer/adapter=low_rank",
        "trainer.precision=fp32",
        "transfer.objective.label_smoothing=0",
    )
    tensors, rows = [], []
    for processes, size, passes in ((1, 6, 1), (2, 2, 3)):
        shared = (f"trainer.batch_size={size}", f"trainer.accumulate={passes}")
        experiment, artifacts = stage(*common, *shared, f"trainer.processes={processes}")
        finetune.run(experiment, artifacts)
        contract = model_folder.read_contract(artifacts.model)
        tensors.append(model_folder.read_tensors(artifacts.model, contract))
        rows.append(history(artifacts))
    for name, tensor in tensors[0].items():
        np.testing.assert_allclose(tensors[1][name], tensor, atol=2e-4, err_msg=name)
    for name in ("val/loss", "val/top1", "train/loss"):
        assert float(rows[1][0][name]) == pytest.approx(float(rows[0][0][name]), rel=1e-3)
