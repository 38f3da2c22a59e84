"""What an evaluation finds measured and stored is not done again."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from evaluated_job import Recorded
from tiny_experiment import tiny_experiment

from graftwork.model_folder import contents
from pipelines import evaluate, extract_features, finetune

PROJECT = Path(__file__).parents[2]


@pytest.mark.usefixtures("quiet_machine")
def test_a_second_evaluation_reads_what_the_network_costs(
    job: Callable[..., Any], recorded: Recorded, monkeypatch: pytest.MonkeyPatch
) -> None:
    from graftwork.profiling import profile, speed

    experiment, artifacts = job()
    evaluate.run(experiment, artifacts)
    first = recorded.cost
    assert 0 < first["latency_ms"] < 1000 and first["energy_mj_per_image"] > 0
    monkeypatch.setattr(profile, "static_profile", lambda *_: pytest.fail("counted again"))
    monkeypatch.setattr(speed, "quick_speed", lambda *_, **__: pytest.fail("measured again"))
    evaluate.run(experiment, artifacts)
    names = ("macs", "activation_mib", "latency_ms", "energy_mj_per_image", "energy_source")
    assert [recorded.cost[name] for name in names] == [first[name] for name in names]


@pytest.mark.usefixtures("quiet_machine")
def test_a_probe_is_trained_and_evaluated_without_torch_once_the_network_is_known(
    tmp_path: Path, tiny_params: Callable[..., Any]
) -> None:
    probe = ("transfer=linear_probe", "transfer/start=random", "tracking.log_model=false")
    experiment, artifacts = tiny_experiment(tiny_params(*probe), tmp_path / "probe")
    for done in (extract_features, finetune, evaluate):
        done.run(experiment, artifacts)
    first = json.loads(artifacts.metrics.read_text())["cost"]
    weights = contents.read_contract(artifacts.model).weights_sha256
    code = (
        "import sys; from pipelines import evaluate, finetune, stage\n"
        "for one in (finetune, evaluate): stage.main(one.run)\n"
        "print(sorted({'torch', 'timm', 'pytorch_lightning', 'sklearn'} & set(sys.modules)))"
    )
    paths = os.pathsep.join([str(PROJECT), str(PROJECT / "src")])
    command = [sys.executable, "-c", code, "--root", str(artifacts.root)]
    environment = {**os.environ, "PYTHONPATH": paths}
    done = subprocess.run(command, env=environment, check=True, text=True, stdout=subprocess.PIPE)
    assert done.stdout.splitlines()[-1] == "[]"
    assert contents.read_contract(artifacts.model).weights_sha256 == weights
    again = json.loads(artifacts.metrics.read_text())["cost"]
    for name in ("macs", "activation_mib", "latency_ms", "energy_mj_per_image"):
        assert again[name] == first[name] > 0
