"""Draws that follow from (seed, epoch, index) alone, and albumentations drawn from them."""

from __future__ import annotations

import random
import warnings
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from graftwork.augmentations.base import Step

if TYPE_CHECKING:
    from graftwork.models.base import InputSpec

NOT_OF_PICTURES = ("mask_interpolation", "fill_mask")  # arguments about masks


def generator(seed: int, epoch: int, index: int, stream: int = 0) -> np.random.Generator:
    """All randomness of one picture in one epoch.

    Philox is counter-based: every key is a stream of its own, and costs microseconds.

    Args:
        stream: what draws after another one takes a stream of its own: 2^128 draws further on.
    """
    bits = np.random.Philox(key=[seed, epoch << 40 | index])
    return np.random.Generator(bits.jumped(stream) if stream else bits)


class SeededPipeline:
    """albumentations' transforms for one network, drawn from (seed, epoch, index) alone.

    Args:
        pipeline: what `albumentations.Compose` gives.
        whole: whether it sees the whole picture; else it sees what evaluation sees.
    """

    def __init__(self, pipeline: Any, input_spec: InputSpec, seed: int, *, whole: bool) -> None:
        self._pipeline = pipeline
        self._input_spec = input_spec
        self._seed = seed
        self._whole = whole

    def __call__(self, image: np.ndarray, epoch: int, index: int) -> np.ndarray:
        """uint8 `[H, W, 3]` of any size to uint8; `[size, size, 3]` if the transforms say so."""
        if not self._whole:
            from graftwork.data.images import eval_view

            image = eval_view(image, self._input_spec)
        return drawn(self._pipeline, image, generator(self._seed, epoch, index))

    def steps(self) -> list[Step]:
        first = [] if self._whole else [Step("evaluation's view", {}, [])]
        return [*first, *steps_of(self._pipeline)]


def drawn(pipeline: Any, image: np.ndarray, numbers: np.random.Generator) -> np.ndarray:
    """One pass, of which these numbers decide everything."""
    pipeline.set_random_state(numbers, random.Random(int(numbers.integers(2**63))))
    return pipeline(image=image)["image"]


def steps_of(pipeline: Any) -> list[Step]:
    """The transforms of an albumentations pipeline with all their arguments."""
    import albumentations as A

    return [_step(found) for found in A.to_dict(pipeline)["transform"]["transforms"]]


def _step(found: Mapping[str, Any]) -> Step:
    inner = [_step(each) for each in found.get("transforms", ())]
    passed_over = ("__class_fullname__", "transforms", *NOT_OF_PICTURES)
    arguments = {key: value for key, value in found.items() if key not in passed_over}
    return Step(str(found["__class_fullname__"]).rpartition(".")[2], arguments, inner)


def strict(build: Callable[[], Any]) -> Any:
    """albumentations only warns of an argument that it does not know: here that is an error."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        return build()


def one_thread_each() -> None:
    """Pictures run in parallel, not rows; OpenCV's pool of threads and fork can hang."""
    import cv2

    cv2.setNumThreads(1)
