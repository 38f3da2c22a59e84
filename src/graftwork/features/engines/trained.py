"""A trained network, from its model folder: as frozen as any, and run by the same engines.

artifacts.trained/<key>/ holds the converted network (`network.xml`, `network.bin`, `compiled/`) and
a verdict for each request and hardware. With both there, neither torch nor timm is imported unless
the engine is torch. A training is seldom evaluated again: the `KEPT` networks stay that were
converted last.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np
from filelock import FileLock, Timeout

from graftwork.features.engines import keys, openvino_engine
from graftwork.features.engines.base import FEATURES, Engine
from graftwork.features.engines.choosing import Request, Runnable, Verdict
from graftwork.model_folder import contents as model_folder
from graftwork.process.installed import releases
from graftwork.storage import files

if TYPE_CHECKING:
    import torch
    from torch import nn

    from graftwork.model_folder.contents import Contract
    from graftwork.models.network.classifier import Classifier

LOGITS = 1  # raise it when the same model folder begins to give other logits, or they lie otherwise
KEPT = 4


@dataclass(frozen=True)
class AnswersVerdict(Verdict):
    """And what became of the answers of the first batch.

    In bf16 an answer may be another where two classes are almost as likely. How far the distance
    of the two largest logits moved on the first batch says where: `tie` is twice the root mean
    square of it. Were such errors normal, all but a fortieth of those that are larger than a given
    distance would be found among pictures nearer than that.
    """

    pictures: int  # of the first batch
    differing: int  # answers other than those of eager float32, near ties not counted
    tie: float  # nearer than this the two largest logits are asked again; 0 in fp32

    @classmethod
    def of(cls, engine: str, precision: str, found: np.ndarray, expected: np.ndarray) -> Self:
        """Of logits `[n, num_classes]`; what all of a picture's have in common says nothing."""
        found, expected = (rows - rows.mean(axis=1, keepdims=True) for rows in (found, expected))
        verdict = Verdict.of(engine, precision, found, expected)
        moved = lead(found, found) - lead(found, expected)
        tie = 2 * float(np.sqrt((moved**2).mean())) if precision == "bf16" else 0.0
        other = found.argmax(axis=1) != expected.argmax(axis=1)
        differing = int((other & (lead(found, found) >= tie)).sum())
        return cls(**vars(verdict), pictures=len(found), differing=differing, tie=tie)


def lead(says: np.ndarray, logits: np.ndarray) -> np.ndarray:
    """How far the class that `says` puts first is ahead of the one that it puts second, `[n]`."""
    if says.shape[1] < 2:
        return np.zeros(len(says))
    second, first = np.argsort(says, axis=1)[:, -2:].T
    rows = np.arange(len(says))
    return np.asarray(logits[rows, first].astype(np.float64) - logits[rows, second])


class TrainedNetwork(Runnable):
    """The network of a model folder, from uint8 pictures to logits.

    Args:
        model: the folder.
        kept: where converted networks lie.
        request: of its engine.
        version: of the code that computes its features (`Model.version`).
        accelerator: as of conf/trainer: `cpu` where a GPU shall not be used.

    Raises:
        UserError: the folder is not whole.
    """

    outputs = "logits"
    verdicts: ClassVar[type[Verdict]] = AnswersVerdict

    def __init__(
        self, model: Path, kept: Path, request: Request, version: str, accelerator: str
    ) -> None:
        contract = model_folder.read_contract(model)
        model_folder.read_tensors(model, contract)  # a damaged folder gives no answers
        self.key = keys.digest(
            {
                "input_spec": vars(contract.input_spec),
                "batch_size": request.batch_size,
                "accelerator": accelerator,
                "versions": releases("torch", "timm", "openvino"),
            }
            | self._facts(contract, version)
        )
        super().__init__(request, kept / self.key, contract.input_spec)
        self._model, self._accelerator = model, accelerator

    def _facts(self, contract: Contract, version: str) -> dict[str, Any]:
        """What else decides its outputs, and what the verdict says of them."""
        return {
            "architecture": contract.architecture,
            "weights": contract.weights_sha256,
            "data": contract.data_digest,  # whose first batch the verdict is about
            "computes": [FEATURES, LOGITS, version],
        }

    @cached_property
    def classifier(self) -> Classifier:
        """The network in torch, built when first asked for."""
        return model_folder.load(self._model)[0]

    @cached_property
    def device(self) -> torch.device:
        """Where torch runs it."""
        from graftwork.features.engines.torch_engine import device_of

        return device_of(self._accelerator)

    def on_gpu(self) -> bool:
        return self.device.type == "cuda"

    def reference(self, images: np.ndarray) -> np.ndarray:
        from graftwork.features.engines.torch_engine import eager_features

        return eager_features(self.classifier, images, self._part)

    def engine(self, engine: str, precision: str) -> Engine:
        if engine == "torch":
            from graftwork.features.engines.torch_engine import TorchEngine

            return TorchEngine(self.classifier, precision, self._part, self.device)
        if not openvino_engine.is_converted(self.folder):
            self.folder.mkdir(parents=True, exist_ok=True)
            size = self.request.batch_size
            openvino_engine.convert(self.classifier, size, self.folder, self._part)
            keep_newest(self.folder.parent, KEPT)
        return openvino_engine.OpenVinoEngine(self.folder, precision)

    @property
    def _part(self) -> nn.Module | None:
        """As of graftwork.features.engines.torch_engine.FromPixels."""
        return self.classifier


class TrainedBackbone(TrainedNetwork):
    """Its backbone alone, from uint8 pictures to pooled features: for a head computed from such.

    Model folders that share a backbone share it, where their heads are of one kind.
    """

    outputs, verdicts = "features", Verdict

    def _facts(self, contract: Contract, version: str) -> dict[str, Any]:
        backbone = contract.architecture | {"head": contract.architecture["head"]["_target_"]}
        sha256 = contract.weights_sha256[model_folder.BACKBONE]
        return {"backbone": backbone, "weights": sha256, "computes": [FEATURES, version]}

    @property
    def _part(self) -> nn.Module | None:
        return None


def keep_newest(folder: Path, count: int) -> None:
    """Removes all networks but the newest; what another process holds stays."""
    found = [entry for entry in folder.iterdir() if entry.is_dir() and entry.name[0] != "."]
    ages = {}
    for entry in found:
        with suppress(FileNotFoundError):  # another process was quicker
            ages[entry] = entry.stat().st_mtime_ns
    for entry in sorted(ages, key=ages.__getitem__, reverse=True)[count:]:
        lock = entry.with_name(f"{entry.name}.lock")
        with suppress(Timeout), FileLock(lock, timeout=0):
            files.remove(entry)
            lock.unlink(missing_ok=True)
