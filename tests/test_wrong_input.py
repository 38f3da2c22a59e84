"""Wrong input ends at once: exit code 2, one message with the remedy, before torch is imported.

Each case runs the real command in a process of its own, where importing torch is fatal.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from conftest import composed
from forked_commands import ForkedCommands

from graftwork.model_folder.contents import FORMAT

PROJECT = Path(__file__).parents[1]
TORCH_IMPORTED = 99

# What is typed, and what the message must say.
COMMAND_LINE = [
    # group options
    (["model=efficientnt_lite0"], ["efficientnt_lite0", "Did you mean 'efficientnet_lite0'"]),
    (["transfer=linear_prob"], ["transfer", "Did you mean 'linear_probe'"]),
    (["dataset=grocery"], ["dataset", "Did you mean 'groceries'"]),
    (["augmentation=srong"], ["Did you mean 'strong'"]),
    (["trainer=smok"], ["Did you mean 'smoke'"]),
    (["experiment=nothing_like_this"], ["experiment", "nothing_like_this"]),
    (["model/head=liner"], ["Did you mean 'linear'"]),
    (["-m", "model=mobilenetv2,efficientnt_lite0"], ["Did you mean 'efficientnet_lite0'"]),
    # keys
    (["datset=groceries"], ["datset", "Did you mean 'dataset'"]),
    (["trainer.batchsize=3"], ["trainer.batchsize", "Did you mean 'batch_size'"]),
    (["+trainer.batchsize=3"], ["trainer.batchsize", "Did you mean 'batch_size'"]),
    (["+trainr.batch_size=3"], ["trainr", "Did you mean 'trainer'"]),
    (["-m", "trainer.batchsize=3,4"], ["trainer.batchsize", "Did you mean 'batch_size'"]),
    (["transfer.label_smoothing=0"], ["Did you mean 'objective.label_smoothing'"]),
    (["transfer.initialisation=random"], ["is no key any more", "transfer/start=random"]),
    (["~trainer.batch_size"], ["trainer.batch_size", "no value"]),
    (["model.head._target_=os.system"], ["model.head._target_", "os.system"]),
    (["trainer.batch_size=3=4=("], ["trainer.batch_size"]),
    (["model=googlenet", "model.options.batch_nrm=false"], ["Did you mean 'batch_norm'"]),
    (["model=googlenet", "model.options={lnr: true}"], ["options.lnr", "Did you mean 'lrn'"]),
    (["model=vgg16", "model.options.drop_rate=0"], ["write +model.options.drop_rate=0"]),
    # types
    (["trainer.batch_size=many"], ["trainer.batch_size", "'many'", "a whole number"]),
    (["trainer.gradient_clip=yes"], ["trainer.gradient_clip", "a number"]),
    (["seed=1.5"], ["seed", "a whole number"]),
    (["evaluation.metrics=3"], ["evaluation.metrics", "expected named components"]),
    # bounds and choices
    (["trainer.batch_size=0"], ["trainer.batch_size", "0", ">= 1"]),
    (["transfer.objective.label_smoothing=1.5"], ["objective.label_smoothing", "1.5", "0.99"]),
    (["extraction.engine=openvno"], ["extraction.engine", "Did you mean 'openvino'"]),
    (["trainer.precision=fp16x"], ["trainer.precision", "auto", "bf16"]),
    (["model.pooling=average"], ["model.pooling", "Did you mean 'avg'"]),
    (["+model.options={cache_dir: w}"], ["model.options.cache_dir", "Leave it out"]),
    (["-m", "seed=-1,2"], ["seed", "-1", ">= 0"]),
    # combinations
    (["transfer=linear_probe", "transfer/head_init=as_built"], ["epochs", "converged_probe"]),
    (["model=tiny_cnn"], ["no pretrained weights", "transfer=from_scratch"]),
    (["model/head=mlp"], ["model.head", "model/head=linear", "transfer=mlp_probe"]),
    (["model/head=mlp", "transfer=linear_probe"], ["transfer=mlp_probe without model/head"]),
    (["model/head=cosine", "transfer=knn"], ["transfer=cosine_probe"]),
    (
        ["model/head=mlp", "transfer=fine_tune", "transfer/trainable=head_only"],
        ["trainable", "stored features", "transfer=mlp_probe transfer.epochs=10"],
    ),
    (["transfer=knn", "transfer.epochs=3"], ["epochs: 3", "nothing that steps could train"]),
    (["transfer/head_init=neighbours"], ["nothing that steps could train", "class_means"]),
    # data
    (["dataset=folder"], ["dataset.path", "no value"]),
    (["dataset=folder", "dataset.path=nowhere/at/all"], ["nowhere/at/all"]),
    (["dataset=folder", "dataset.path=empty"], ["dataset.path", "empty", "no pictures"]),
    (["dataset=csv", "dataset.path=missing.csv"], ["missing.csv"]),
]  # fmt: skip

# A key of params.yaml, the value it is given there, and what the message must say.
FILE = [
    ("trainer.batchsize", 3, ["trainer.batchsize", "Did you mean 'batch_size'"]),
    ("dataset.splits.sed", 3, ["dataset.splits.sed", "Did you mean 'seed'"]),
    ("seeed", 3, ["seeed", "Did you mean 'seed'"]),
    ("trainer.batch_size", "lots", ["trainer.batch_size", "a whole number"]),
    ("evaluation.confidence", 1.5, ["evaluation.confidence", "1.5"]),
    ("model._target_", "torch.load", ["model._target_", "torch.load"]),
    (
        "evaluation.metrics.top1._target_",
        "graftwork.metrics.acuracy.TopK",
        ["accuracy.TopK"],
    ),
    ("trainer.accelerator", "gpuu", ["trainer.accelerator", "Did you mean 'gpu'"]),
]


@pytest.fixture(scope="module")
def fatal_torch(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """An environment where importing torch ends the process."""
    fake = tmp_path_factory.mktemp("fatal") / "torch"
    fake.mkdir()
    (fake / "__init__.py").write_text(f"import os; os._exit({TORCH_IMPORTED})")
    path = os.pathsep.join([str(fake.parent), str(PROJECT / "src"), str(PROJECT)])
    return {**os.environ, "PYTHONPATH": path}


@pytest.fixture(scope="module")
def commands(fatal_torch: dict[str, str]) -> Iterator[ForkedCommands]:
    """`commands.run(arguments, folder)`: `python -m ...` in that environment."""
    found = ForkedCommands(fatal_torch)
    yield found
    found.close()


@pytest.fixture(autouse=True)
def empty_folder(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()


def run(arguments: list[str], folder: Path, env: dict[str, str]) -> subprocess.CompletedProcess:
    command = [sys.executable, "-m", *arguments]
    return subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True)


def check_refusal(done: subprocess.CompletedProcess, said: list[str]) -> None:
    assert done.returncode == 2, done.stderr
    assert "Traceback" not in done.stderr
    assert done.stderr.count("graftwork:") == 1, done.stderr
    for words in said:
        assert words in done.stderr


@pytest.mark.parametrize(("overrides", "said"), COMMAND_LINE, ids=lambda v: " ".join(v)[:50])
def test_command_line(overrides, said, commands, tmp_path):
    check_refusal(commands.run(["pipelines.experiment", *overrides], tmp_path), said)
    assert not list(tmp_path.rglob("mlflow.db"))


@pytest.mark.parametrize(("key", "value", "said"), FILE, ids=lambda v: str(v)[:40])
def test_file(key, value, said, commands, tmp_path):
    params = composed()
    node = params
    *groups, last = key.split(".")
    for group in groups:
        node = node[group]
    node[last] = value
    (tmp_path / "params.yaml").write_text(yaml.safe_dump(params))
    check_refusal(commands.run(["pipelines.finetune"], tmp_path), said)


def test_without_params(commands, tmp_path):
    done = commands.run(["pipelines.prepare"], tmp_path)
    check_refusal(done, ["params.yaml", "make params"])


READ_ONLY = """
import errno, os, runpy, sys
def refused(path, *_, **__):
    raise OSError(errno.EROFS, "", str(path))
os.mkdir = refused
import builtins, io, pathlib
plain = io.open
def opened(path, mode="r", *more, **named):
    within = not isinstance(path, int) and str(path).startswith((os.getcwd(), "params.yaml"))
    if set(mode) & set("wax+") and within:
        refused(path)
    return plain(path, mode, *more, **named)
builtins.open = io.open = opened
sys.argv = sys.argv[1:]
runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)
"""
SMALL = ["model=tiny_cnn", "transfer=from_scratch"]
COMMANDS = [
    ["pipelines.experiment", *SMALL],
    ["pipelines.experiment", "-m", *SMALL, "seed=0,1"],
    ["pipelines.params", *SMALL],
    ["pipelines.prepare"],
]


@pytest.mark.parametrize("command", COMMANDS, ids=lambda c: " ".join(c)[:30])
def test_a_read_only_project(command, fatal_torch, tmp_path):
    """The rights of a folder would not stop root, as whom tests may run."""
    (tmp_path / "params.yaml").write_text(yaml.safe_dump(composed()))
    (tmp_path / "read_only.py").write_text(READ_ONLY)
    done = run(["read_only", *command], tmp_path, fatal_torch)
    check_refusal(done, ["Read-only file system", "Name another place"])


def test_a_full_disk(trainings):
    arguments = ["graftwork", "profile", "lenet5", "--html", "/dev/full"]
    check_refusal(trainings.run(arguments, PROJECT), ["No space left on device"])


@pytest.mark.parametrize("command", ["ui", "pareto"])
def test_a_damaged_store(command, commands, tmp_path):
    (tmp_path / "mlflow.db").write_text("no database" * 500)
    done = commands.run(["graftwork", command], tmp_path)
    check_refusal(done, ["mlflow.db", "file is not a database", "move it away"])
    assert "tracking.uri=null" not in done.stderr


# What is typed after `graftwork inspect`, and what the message must say.
INSPECT = [
    (["--root", "empty"], ["empty/model.json", "no such file", "of a finished run"]),
    (["--count", "0"], ["--count", "0", ">= 1"]),
    ([], ["reports/predictions.parquet", "no such file", "--photos"]),
    (["--root", "model"], ["predictions.parquet", "--photos"]),
    (["--photos", "missing.jpg"], ["--photos", "no such file or folder", "missing.jpg"]),
    (["--photos", "empty"], ["--photos", "empty", "no photos"]),
    (["--photos", "page.jpg"], ["page.jpg", "a web page, not an image"]),
    (["--html", "empty"], ["--html", "empty", "is a folder"]),
]


@pytest.mark.parametrize(("arguments", "said"), INSPECT, ids=lambda v: " ".join(v)[:50])
def test_inspect(arguments, said, commands, tmp_path):
    (tmp_path / "model").mkdir()
    spec = {"size": 32, "mean": [0.5], "std": [0.5], "interpolation": "bilinear", "crop_pct": 1.0}
    contract = {"format": FORMAT, "architecture": {}, "classes": ["a"], "input_spec": spec}
    contract |= {"preprocessing": {"decoded_side": 32, "max_pixels": 9999}, "training": {}}
    contract |= {"pretrained": None, "data_digest": ""}
    contract |= {"weights_sha256": {"backbone.safetensors": "", "head.safetensors": ""}}
    (tmp_path / "model" / "model.json").write_text(json.dumps(contract))
    (tmp_path / "page.jpg").write_text("<html>")
    check_refusal(commands.run(["graftwork", "inspect", *arguments], tmp_path), said)


def test_torch_would_have_been_noticed(fatal_torch, tmp_path):
    done = subprocess.run([sys.executable, "-c", "import torch"], cwd=tmp_path, env=fatal_torch)
    assert done.returncode == TORCH_IMPORTED


def test_a_forked_command_would_have_noticed_it_too(commands, tmp_path):
    (tmp_path / "late.py").write_text("import torch")
    assert commands.run(["late"], tmp_path).returncode == TORCH_IMPORTED
    (tmp_path / "broken.py").write_text("print(1)\nraise RuntimeError('a bug')")
    done = commands.run(["broken"], tmp_path)
    assert (done.returncode, done.stdout) == (1, "1\n") and "Traceback" in done.stderr
