"""Measurements in a fresh process: nothing that ran before is in their numbers.

python -m graftwork.profiling.measuring < job.json
"""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import gettempdir
from typing import TYPE_CHECKING, Any

from graftwork.config.component_params import params_of
from graftwork.config.components import build
from graftwork.config.errors import UserError
from graftwork.models.base import Model
from graftwork.profiling.speed import Speed, check_settings
from graftwork.settings.trainer import Trainer
from graftwork.transfer.strategy import Transfer

if TYPE_CHECKING:
    from graftwork.models.network.classifier import Classifier
    from graftwork.profiling.resident import GpuPeak, ResidentPeak

MIB = 2**20
STEPS = 4  # of training: the allocator's holes repeat after two
RUNS = 3  # forward passes whose memory counts


@dataclass(frozen=True)
class Measured(Speed):
    """A network as it predicts on this machine."""

    peak_mib: float  # of predicting a batch, the network included, its libraries not


def measure(
    model: Model,
    *,
    num_classes: int,
    batch_size: int,
    precision: str = "auto",
    seconds: float = 2.5,
) -> Measured:
    """Measures a network with random weights in a process of its own; takes some seconds more than
    `seconds`, for imports.

    Args:
        precision: auto, fp32 or bf16.
        seconds: of the timed runs.

    Raises:
        UserError: whatever the network or the numbers make impossible, in the process's words.
    """
    check_settings(batch_size, precision, seconds)
    found = _in_fresh_process(
        {
            "kind": "prediction",
            "model": params_of(model),
            "num_classes": num_classes,
            "batch_size": batch_size,
            "precision": precision,
            "seconds": seconds,
        }
    )
    return Measured(**found)


def training_peak(model: Model, transfer: Transfer, trainer: Trainer, *, num_classes: int) -> int:
    """Bytes at the peak of some training steps in a process of its own, through Lightning as every
    training here; random weights, blank labels, pictures already in memory.

    What Python, the libraries and one step of a tiny network take is not counted.

    Raises:
        UserError: whatever makes it impossible, in the process's words.
    """
    found = _in_fresh_process(
        {
            "kind": "training",
            "model": params_of(model),
            "transfer": params_of(transfer),
            "trainer": params_of(trainer),
            "num_classes": num_classes,
        }
    )
    return int(found["peak_bytes"])


def _in_fresh_process(job: dict[str, Any]) -> dict[str, Any]:
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-m", __name__],
        input=json.dumps(job),
        capture_output=True,
        text=True,
    )
    if done.returncode:
        lines = done.stderr.strip().splitlines() or [f"exit code {done.returncode}"]
        raise UserError(f"measuring failed in its own process: {lines[-1]}")
    found: dict[str, Any] = json.loads(done.stdout.strip().splitlines()[-1])
    return found


def main() -> None:
    """One job from standard input; its numbers as the last line of standard output."""
    job = json.load(sys.stdin)
    run = {"prediction": _predicting, "training": _training}[job["kind"]]
    try:
        found = run(build(job["model"], Model, "model"), job)  # type: ignore[type-abstract]
    except UserError as error:
        print(error, file=sys.stderr)
        raise SystemExit(2) from error
    print(json.dumps(found))


def _predicting(model: Model, job: dict[str, Any]) -> dict[str, Any]:
    import torch

    from graftwork.models.precision import chosen
    from graftwork.profiling.speed import predicting, quick_speed

    device = "cuda" if torch.cuda.is_available() else "cpu"
    precision = chosen(job["precision"], device == "cuda")
    predicting(_tiny(model).build(2, None).to(device).eval(), 2, precision, device)()
    peak = _peak(device)
    classifier = model.build(job["num_classes"], None).to(device).eval()
    peak.forget()
    run = predicting(classifier, job["batch_size"], precision, device)
    for _ in range(RUNS):
        run()
    most = peak.bytes()
    speed = quick_speed(
        classifier, batch_size=job["batch_size"], precision=precision, seconds=job["seconds"]
    )
    return {**speed.as_dict(), "peak_mib": most / MIB}


def _training(model: Model, job: dict[str, Any]) -> dict[str, Any]:
    from graftwork.transfer.adapters import NoAdapter
    from graftwork.transfer.trainable import All

    transfer = build(job["transfer"], Transfer, "transfer")
    trainer = build(job["trainer"], Trainer, "trainer")
    trainer = replace(trainer, processes=1, limit_epochs=1, limit_batches=None)
    # Its groups have names of their own.
    anything = replace(transfer, trainable=All(), adapter=NoAdapter())
    _train(_tiny(model).build(2, None), anything, replace(trainer, batch_size=2), 2)
    peak = _peak("cuda" if trainer.uses_gpu() else "cpu")
    classifier = model.build(job["num_classes"], None)
    peak.forget()
    _train(classifier, transfer, trainer, job["num_classes"])
    return {"peak_bytes": peak.bytes()}


def _train(classifier: Classifier, transfer: Transfer, trainer: Trainer, num_classes: int) -> None:
    import torch
    from torch.utils.data import DataLoader

    from graftwork.training.bound_parts import attached, fit_module
    from graftwork.training.graft_module import GraftModule

    side, count, passes = classifier.input_spec.size, trainer.images_a_pass, trainer.accumulate
    images = torch.zeros(count, side, side, 3, dtype=torch.uint8)
    batch = images, torch.zeros(count, dtype=torch.int64)
    kept = {name: tensor.clone() for name, tensor in classifier.state_dict().items()}
    batches: Any = DataLoader([batch] * (STEPS * passes), batch_size=None)  # type: ignore[arg-type]
    with attached(transfer.adapter, classifier, seed=0):
        module = GraftModule(classifier, transfer, num_classes, shares=[1 / passes] * passes)
        fit_module(module, trainer, [], Path(gettempdir()), batches)
    del kept  # until here, as in training


def _tiny(model: Model) -> Model:
    """A network on which libraries load and start what they need once."""
    own: dict[str, Any] = {"input_size": None, "input_channels": None, "pooling": "default"}
    own |= {"architecture": "tiny_cnn", "options": {}, "auxiliary_weight": 0.0}
    return replace(model, **own)


def _peak(device: str) -> ResidentPeak | GpuPeak:
    from graftwork.profiling.resident import GpuPeak, ResidentPeak

    return GpuPeak() if device == "cuda" else ResidentPeak()


if __name__ == "__main__":
    main()
