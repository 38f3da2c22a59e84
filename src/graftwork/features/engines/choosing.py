"""The choice of an engine for something frozen: made on a first batch, kept for this hardware."""

from __future__ import annotations

import warnings
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import ClassVar, Self

import numpy as np
from filelock import FileLock

from graftwork.config.errors import UserError
from graftwork.data.images import DecodedImages
from graftwork.experiment import Experiment
from graftwork.features.engines import keys, openvino_engine
from graftwork.features.engines.base import Engine
from graftwork.features.engines.loading import Picture, load_batch
from graftwork.models.base import InputSpec
from graftwork.process.terminal import visible_lines
from graftwork.storage.files import read_sealed, write_sealed


class EngineWarning(UserWarning):
    """An engine could not be used, or changed what the network says too much."""


@dataclass(frozen=True)
class Request:
    """What is wanted of the engine of a network."""

    name: str  # of the network, for messages
    group: str  # of the configuration that asks for engine and precision, likewise
    engine: str  # auto, openvino or torch
    precision: str  # auto, fp32 or bf16
    batch_size: int
    min_cosine: float  # to eager float32, mean of the first batch; else the next engine

    @classmethod
    def of(cls, experiment: Experiment) -> Self:
        """As conf/extraction says."""
        wanted = experiment.extraction
        return cls(
            experiment.model.name, "extraction", wanted.engine, wanted.precision,
            wanted.batch_size, wanted.min_cosine,
        )  # fmt: skip


@dataclass(frozen=True)
class Verdict:
    """Which engine was chosen, and how near its outputs are to eager float32."""

    engine: str
    precision: str
    cosine: float  # mean over the pictures of the first batch
    lowest_cosine: float  # of a single picture

    @classmethod
    def of(cls, engine: str, precision: str, found: np.ndarray, expected: np.ndarray) -> Self:
        """Of the outputs `[n, ...]` of the engine, and of eager float32."""
        cosines = cosine(found, expected)
        return cls(engine, precision, float(cosines.mean()), float(cosines.min()))


class Runnable(ABC):
    """What is frozen and can be run by one of several engines.

    Args:
        folder: of its converted form, beside which verdicts are kept.
        input_spec: of the pictures that it is shown.
    """

    outputs: ClassVar[str] = "features"
    verdicts: ClassVar[type[Verdict]] = Verdict

    def __init__(self, request: Request, folder: Path, input_spec: InputSpec) -> None:
        self.request, self.folder, self.input_spec = request, folder, input_spec

    @abstractmethod
    def reference(self, images: np.ndarray) -> np.ndarray:
        """What eager float32 makes of uint8 `[B, S, S, 3]`."""

    @abstractmethod
    def engine(self, engine: str, precision: str) -> Engine:
        """The engine of that name, loaded; converts the network where that was never done."""

    def on_gpu(self) -> bool:
        """Whether torch would run it on one."""
        from graftwork.features.engines import torch_engine

        return torch_engine.on_gpu()

    def verdict_of(self, pictures: Sequence[Picture], images: DecodedImages) -> Verdict:
        """The chosen engine; chosen now, on the first batch of these, if it never was here."""
        if found := self.known_verdict():
            return found
        size = self.request.batch_size
        batch = load_batch(pictures[:size], images, self.input_spec, size)
        return self.verdict(batch.images, len(batch.keys) or size)

    def verdict(self, images: np.ndarray, count: int) -> Verdict:
        """The chosen engine; chosen now, on these pictures, if it never was on this hardware.

        Args:
            images: uint8 `[batch_size, S, S, 3]`.
            count: how many of them are pictures; the rest fills the batch.
        """
        found = self.known_verdict()
        if found is None:
            self.folder.mkdir(parents=True, exist_ok=True)
            with FileLock(self.folder.with_name(f"{self.folder.name}.lock")):
                found = self.known_verdict() or self._choose(images, count)
                write_sealed(self._verdict_path, asdict(found))
        return found

    def known_verdict(self) -> Verdict | None:
        """What was chosen before for this request on this hardware."""
        values = read_sealed(self._verdict_path)
        if values is None or values.keys() != {field.name for field in fields(self.verdicts)}:
            return None
        return self.verdicts(**values)

    @property
    def _verdict_path(self) -> Path:
        wanted = self.request
        key = keys.verdict_key(wanted.engine, wanted.precision, wanted.min_cosine)
        return self.folder / f"verdict-{key}.json"

    def _choose(self, images: np.ndarray, count: int) -> Verdict:
        least = self.request.min_cosine
        expected = self.reference(images)[:count]
        for engine, precision in self._candidates():
            try:
                found = self.engine(engine, precision)(images)[:count]
            except Exception as error:  # whatever a converter or a compiler may raise
                reason = " ".join(str(error).split())[:300]
                self._warn(engine, precision, f"failed: {reason}")
                continue
            verdict = self.verdicts.of(engine, precision, found, expected)
            if verdict.cosine >= least:
                return verdict
            self._warn(
                engine,
                precision,
                f"changes the {self.outputs}: cosine {verdict.cosine:.5f} to eager float32, "
                f"extraction.min_cosine is {least}",
            )
        raise UserError(
            f"{self.request.group}.engine: no engine runs {self.request.name} as it should; "
            "the warnings above say why. Lower extraction.min_cosine only if you know better."
        )

    def _warn(self, engine: str, precision: str, what: str) -> None:
        text = f"{self.request.name}: engine {engine} in {precision} {what}. Trying the next one."
        warnings.warn(visible_lines(text), EngineWarning, stacklevel=3)

    def _candidates(self) -> Iterator[tuple[str, str]]:
        """Engines and precisions in the order of preference."""
        from graftwork.features.engines import torch_engine

        wanted = self.request
        if wanted.engine == "openvino" and not openvino_engine.available():
            raise UserError(
                f"{wanted.group}.engine: openvino is not installed here. Install it "
                f"(pip install openvino), or choose {wanted.group}.engine=auto."
            )
        prefer_torch = wanted.engine == "torch" or (
            wanted.engine == "auto" and (self.on_gpu() or not openvino_engine.available())
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


def cosine(left: np.ndarray, right: np.ndarray) -> np.ndarray:
    """Cosine of the angle between corresponding rows, `[n]`; 1 where both are zero.

    Args:
        left, right: `[n, ...]`; of maps all values count.
    """
    left, right = (rows.astype(np.float64).reshape(len(rows), -1) for rows in (left, right))
    lengths = np.linalg.norm(left, axis=1) * np.linalg.norm(right, axis=1)
    both_zero = ~left.any(axis=1) & ~right.any(axis=1)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(both_zero, 1.0, (left * right).sum(axis=1) / lengths)
