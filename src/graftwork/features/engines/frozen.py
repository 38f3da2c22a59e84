"""The frozen backbone of an experiment: converted once, checked once, then only loaded.

artifacts.networks/<key>/ holds `input_spec.json`, `backbone.safetensors`, the converted network
(`network.xml`, `network.bin`, `compiled/`) and a verdict for each request and hardware. With a
verdict there, neither torch nor timm is imported unless the engine is torch itself.
"""

from __future__ import annotations

import hashlib
import shutil
from dataclasses import asdict
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from filelock import FileLock

from graftwork.experiment import Experiment
from graftwork.features.engines import keys, openvino_engine
from graftwork.features.engines.base import Engine
from graftwork.features.engines.choosing import Request, Runnable
from graftwork.models.base import InputSpec
from graftwork.models.network.tensors import part, serialised, tensors_of
from graftwork.storage.artifacts import Artifacts
from graftwork.storage.files import (
    READ_ONLY,
    beside,
    read_sealed,
    sha256_of,
    warn_damaged,
    write_durably,
    write_sealed,
)

if TYPE_CHECKING:
    from graftwork.models.network.classifier import Classifier

SPEC = "input_spec.json"
TENSORS = "backbone.safetensors"


class FrozenNetwork(Runnable):
    """The backbone of an experiment, ready to be run by an engine.

    Making one builds the network (and imports torch) unless the store has it already.
    """

    def __init__(self, experiment: Experiment, artifacts: Artifacts) -> None:
        self._experiment, self._artifacts = experiment, artifacts
        self._classifier: Classifier | None = None
        self.key = keys.network_key(experiment, artifacts)
        self.folder = artifacts.networks / self.key
        about = self._read()
        if about is None:
            self._store()
            about = self._read()
        assert about is not None, f"{self.folder / SPEC} was written just now"
        self.tensors_sha256, self.num_features, spec = about
        super().__init__(Request.of(experiment), self.folder, spec)

    def _read(self) -> tuple[str, int, InputSpec] | None:
        """sha256 of the tensors, number of features, input; None where nothing whole is stored."""
        path = self.folder / SPEC
        about = read_sealed(path)
        if about is None:
            return None
        try:
            sha256, count = about.pop("tensors_sha256"), about.pop("num_features")
            levels = {name: tuple(about[name]) for name in ("mean", "std")}
            return sha256, count, InputSpec(**about | levels)
        except (KeyError, TypeError) as error:  # an earlier version sealed nothing
            warn_damaged(path, repr(error))
            path.unlink(missing_ok=True)
            return None

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
                write_sealed(partial / SPEC, about)
                shutil.rmtree(self.folder, ignore_errors=True)
                partial.rename(self.folder)
            finally:
                shutil.rmtree(partial, ignore_errors=True)

    def reference(self, images: np.ndarray) -> np.ndarray:
        from graftwork.features.engines.torch_engine import eager_features

        return eager_features(self.classifier, images)

    def engine(self, engine: str, precision: str) -> Engine:
        if engine == "torch":
            from graftwork.features.engines.torch_engine import TorchEngine

            return TorchEngine(self.classifier, precision)
        if not openvino_engine.is_converted(self.folder):
            openvino_engine.convert(self.classifier, self.request.batch_size, self.folder)
        return openvino_engine.OpenVinoEngine(self.folder, precision)

    @property
    def tensors(self) -> Path:
        """The file of the backbone's parameters and buffers, named as in the classifier.

        It is made again if it is no longer what was stored.
        """
        path = self.folder / TENSORS
        if not _is_intact(path, self.tensors_sha256):
            warn_damaged(path, "it is not what was stored")
            (self.folder / SPEC).unlink(missing_ok=True)
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
