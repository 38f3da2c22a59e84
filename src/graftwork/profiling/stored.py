"""What the network in use costs, kept by content: the first experiment pays, others read.

Evaluating a linear probe needs neither torch nor timm, whose import alone would take longer than
everything else there; nor does reading a stored profile.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from filelock import FileLock

from graftwork.models.base import Model
from graftwork.profiling import keys
from graftwork.storage.artifacts import Artifacts
from graftwork.storage.files import read_sealed, write_sealed

SECONDS = 0.5  # of the timed runs
BATCH = 8  # pictures: enough to fill a few cores, and a few batches of a large network stay short
PRECISION = "fp32"  # in which a model folder predicts
_doubtful: dict[Path, dict[str, Any]] = {}  # measured by this process on a busy machine


def static_costs(model: Model, num_classes: int, artifacts: Artifacts) -> dict[str, Any]:
    """What `graftwork.profiling.profile` says of the model with a head of so many classes.

    Returns:
        the fields of `Profile` by name; layers and groups as mappings.
    """

    def count() -> dict[str, Any]:
        from graftwork.profiling.profile import static_profile

        return static_profile(model, num_classes).as_dict()

    key = keys.profile_key(model, num_classes)
    found = _stored(artifacts.profiles / f"{key}.json", count)
    return found | {"model": model.name}  # one network may go by several words


def measured_costs(model: Model, num_classes: int, artifacts: Artifacts) -> dict[str, Any]:
    """Latency, throughput and energy of predicting on this machine, once for its hardware.

    Figures of a machine that was busy with other programs are not kept on disk: the next process
    measures again. This one does not: its jobs would wait for the same every time.

    Returns:
        the fields of `graftwork.profiling.speed.Speed` by name: latency_ms (one picture) and
        energy_mj_per_image among them.
    """

    def run() -> dict[str, Any]:
        import torch

        from graftwork.profiling.speed import quick_speed

        with torch.random.fork_rng(devices=[]):
            classifier = model.build(num_classes, None)
        classifier.to("cuda" if torch.cuda.is_available() else "cpu")
        speed = quick_speed(classifier, batch_size=BATCH, precision=PRECISION, seconds=SECONDS)
        return speed.as_dict()

    key = keys.speed_key(model, num_classes, f"{PRECISION}, {BATCH}, {SECONDS}")
    return _stored(artifacts.profiles / f"{key}.json", run)


def _stored(path: Path, make: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    if path in _doubtful:
        return dict(_doubtful[path])
    found = read_sealed(path)
    if found is None:
        path.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(path.with_suffix(".lock")):  # nor do two processes measure side by side
            found = read_sealed(path)
            if found is None:
                made = make()
                _keep(path, made)
                found = read_sealed(path) or made
    return found


def _keep(path: Path, made: dict[str, Any]) -> None:
    from graftwork.profiling.timing import is_disturbed

    if is_disturbed(made.get("machine", "")):
        _doubtful[path] = made
    else:
        write_sealed(path, made)
