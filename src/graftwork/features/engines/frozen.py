"""The frozen backbone of an experiment: converted once, checked once, then only loaded.

artifacts.networks/<key>/ holds `input_spec.json`, `backbone.safetensors`, the converted network
(`network.xml`, `network.bin`, `compiled/`) and a verdict for each request and hardware. With a
verdict there, neither torch nor timm is imported unless the engine is torch itself.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import warnings
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from filelock import FileLock

from graftwork.config.errors import UserError
from graftwork.experiment import Experiment
from graftwork.features.engines import keys, openvino_engine
from graftwork.features.engines.base import Engine
from graftwork.models.base import InputSpec
from graftwork.models.network.tensors import part, serialised, tensors_of
from graftwork.process.terminal import visible_lines
from graftwork.storage.artifacts import Artifacts
from graftwork.storage.files import READ_ONLY, beside, sha256_of, write_durably

if TYPE_CHECKING:
    from graftwork.models.network.classifier import Classifier

SPEC = "input_spec.json"
TENSORS = "backbone.safetensors"


class EngineWarning(UserWarning):
    """An engine could not be used, or changed the features too much."""


@dataclass(frozen=True)
class Verdict:
    """Which engine was chosen, and how near its features are to eager float32."""

    engine: str
    precision: str
    cosine: float  # mean over the pictures of the first batch
    lowest_cosine: float  # of a single picture


class FrozenNetwork:
    """The backbone of an experiment, ready to be run by an engine.

    Making one builds the network (and imports torch) unless the store has it already.
    """

    def __init__(self, experiment: Experiment, artifacts: Artifacts) -> None:
        self._experiment = experiment
        self._artifacts = artifacts
        self._classifier: Classifier | None = None
        self.key = keys.network_key(experiment, artifacts)
        self.folder = artifacts.networks / self.key
        if not (self.folder / SPEC).is_file():
            self._store()
        about = json.loads((self.folder / SPEC).read_text())
        self.tensors_sha256: str = about.pop("tensors_sha256")
        self.num_features: int = about.pop("num_features")
        self.input_spec = InputSpec(
            **about | {"mean": tuple(about["mean"]), "std": tuple(about["std"])}
        )

    @property
    def classifier(self) -> Classifier:
        """The network in torch, built when first asked for; its head has one output."""
        if self._classifier is None:
            from graftwork.features.engines.backbone import build

            self._classifier = build(self._experiment, self._artifacts)
        return self._classifier

    def _store(self) -> None:
        """Writes what the warm path reads, whole or not at all."""
        networks = self._artifacts.networks
        networks.mkdir(parents=True, exist_ok=True)
        with FileLock(networks / f"{self.key}.lock"):
            if (self.folder / SPEC).is_file():
                return
            content = serialised(part(tensors_of(self.classifier), "backbone."))
            about = asdict(self.classifier.input_spec)
            about["num_features"] = self.classifier.num_features
            about["tensors_sha256"] = hashlib.sha256(content).hexdigest()
            partial = beside(self.folder)
            try:
                partial.mkdir()
                write_durably(partial / TENSORS, content, READ_ONLY)
                (partial / SPEC).write_text(json.dumps(about))
                shutil.rmtree(self.folder, ignore_errors=True)
                partial.rename(self.folder)
            finally:
                shutil.rmtree(partial, ignore_errors=True)

    def verdict(self, images: np.ndarray, count: int) -> Verdict:
        """The chosen engine; chosen now, on these pictures, if it never was on this hardware.

        Args:
            images: uint8 `[batch_size, S, S, 3]`.
            count: how many of them are pictures; the rest fills the batch.
        """
        found = self.known_verdict()
        if found is None:
            with FileLock(self._artifacts.networks / f"{self.key}.lock"):
                found = self.known_verdict() or self._choose(images, count)
                partial = self._verdict_path.with_suffix(".partial")
                partial.write_text(json.dumps(asdict(found)))
                partial.replace(self._verdict_path)
        return found

    def known_verdict(self) -> Verdict | None:
        """What was chosen before for this request on this hardware."""
        if not self._verdict_path.is_file():
            return None
        return Verdict(**json.loads(self._verdict_path.read_text()))

    @property
    def _verdict_path(self) -> Path:
        return self.folder / f"verdict-{keys.verdict_key(self._experiment)}.json"

    def _choose(self, images: np.ndarray, count: int) -> Verdict:
        from graftwork.features.engines.torch_engine import eager_features

        least = self._experiment.extraction.min_cosine
        expected = eager_features(self.classifier, images)[:count]
        for engine, precision in self._candidates():
            try:
                features = self.engine(engine, precision)(images)[:count]
            except Exception as error:  # whatever a converter or a compiler may raise
                reason = " ".join(str(error).split())[:300]
                self._warn(engine, precision, f"failed: {reason}")
                continue
            cosines = cosine(features, expected)
            verdict = Verdict(engine, precision, float(cosines.mean()), float(cosines.min()))
            if verdict.cosine >= least:
                return verdict
            self._warn(
                engine,
                precision,
                f"changes the features: cosine {verdict.cosine:.5f} to eager float32, "
                f"extraction.min_cosine is {least}",
            )
        raise UserError(
            f"extraction.engine: no engine runs {self._experiment.model.name} as it should; "
            "the warnings above say why. Lower extraction.min_cosine only if you know better."
        )

    def _warn(self, engine: str, precision: str, what: str) -> None:
        name = self._experiment.model.name
        text = f"{name}: engine {engine} in {precision} {what}. Trying the next one."
        warnings.warn(visible_lines(text), EngineWarning, stacklevel=3)

    def _candidates(self) -> Iterator[tuple[str, str]]:
        """Engines and precisions in the order of preference."""
        from graftwork.features.engines import torch_engine

        wanted = self._experiment.extraction
        if wanted.engine == "openvino" and not openvino_engine.available():
            raise UserError(
                "extraction.engine: openvino is not installed here. Install it "
                "(pip install openvino), or choose extraction.engine=auto."
            )
        prefer_torch = wanted.engine == "torch" or (
            wanted.engine == "auto" and (torch_engine.on_gpu() or not openvino_engine.available())
        )
        engine = "torch" if prefer_torch else "openvino"
        hardware = torch_engine if prefer_torch else openvino_engine
        precision = wanted.precision
        if precision == "auto":
            precision = hardware.hardware_precision()
        yield engine, precision
        yield from ((engine, "fp32") for _ in range(precision == "bf16"))
        if not prefer_torch:
            yield "torch", "fp32"

    def engine(self, engine: str, precision: str) -> Engine:
        """The engine of that name, loaded; converts the network where that was never done."""
        if engine == "torch":
            from graftwork.features.engines.torch_engine import TorchEngine

            return TorchEngine(self.classifier, precision)
        if not (self.folder / openvino_engine.NETWORK).is_file():
            openvino_engine.convert(
                self.classifier, self._experiment.extraction.batch_size, self.folder
            )
        return openvino_engine.OpenVinoEngine(self.folder, precision)

    @property
    def tensors(self) -> Path:
        """The file of the backbone's parameters and buffers, named as in the classifier.

        It is made again if it is no longer what was stored.
        """
        path = self.folder / TENSORS
        if not _is_intact(path, self.tensors_sha256):
            warnings.warn(f"{path}: damaged; it is made again.", EngineWarning, stacklevel=2)
            (self.folder / SPEC).unlink()
            self._store()
        return path


def _is_intact(path: Path, sha256: str) -> bool:
    if not path.is_file():
        return False
    found = path.stat()
    return _sha256(path, found.st_ino, found.st_size, found.st_mtime_ns) == sha256


@lru_cache(maxsize=64)  # once a process; every head that links the file changes its st_ctime
def _sha256(path: Path, *state: int) -> str:
    return sha256_of(path)


def cosine(left: np.ndarray, right: np.ndarray) -> np.ndarray:
    """Cosine of the angle between corresponding rows, `[n]`; 1 where both are zero."""
    left, right = left.astype(np.float64), right.astype(np.float64)
    lengths = np.linalg.norm(left, axis=1) * np.linalg.norm(right, axis=1)
    both_zero = ~left.any(axis=1) & ~right.any(axis=1)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(both_zero, 1.0, (left * right).sum(axis=1) / lengths)
