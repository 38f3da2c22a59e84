"""What RandAugment, TrivialAugment and AugMix share: a policy first, then operations by chance."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from graftwork.augmentations.base import Augment, Augmentation, Step
from graftwork.augmentations.operations import Operation, apply
from graftwork.augmentations.policy import Policy
from graftwork.augmentations.seeded import generator
from graftwork.config.errors import check_range

if TYPE_CHECKING:
    from graftwork.models.base import InputSpec

AFTER = 1  # stream of what draws after the policy


@dataclass(frozen=True)
class Automatic(Augmentation):
    """A policy, usually crops and mirroring, and operations with magnitudes behind it."""

    before: Policy
    fill: int  # grey value, 0 to 255, of what rotations and shifts move in

    def __post_init__(self) -> None:
        check_range("fill", self.fill, 0, 255)

    @property
    def mirrors(self) -> tuple[str, ...]:
        return self.before.mirrors

    @abstractmethod
    def space(self, side: int) -> list[Operation]:
        """What it chooses from, for pictures of this side in px."""

    @abstractmethod
    def changed(
        self, picture: np.ndarray, space: Sequence[Operation], numbers: np.random.Generator
    ) -> np.ndarray:
        """uint8 `[size, size, 3]` to the same; the numbers decide everything."""

    @abstractmethod
    def arguments(self) -> dict[str, Any]:
        """Its own settings, for people to read."""

    def build(self, input_spec: InputSpec, seed: int) -> SeededOperations:
        return SeededOperations(self, input_spec, seed)


class SeededOperations:
    """An automatic augmentation for one network, drawn from (seed, epoch, index) alone."""

    def __init__(self, settings: Automatic, input_spec: InputSpec, seed: int) -> None:
        self._settings, self._seed = settings, seed
        self._before: Augment = settings.before.build(input_spec, seed)
        self._space = settings.space(input_spec.size)

    def __call__(self, image: np.ndarray, epoch: int, index: int) -> np.ndarray:
        """uint8 `[H, W, 3]` of any size to uint8 `[size, size, 3]`."""
        picture = self._before(image, epoch, index)
        numbers = generator(self._seed, epoch, index, AFTER)
        return self._settings.changed(picture, self._space, numbers)

    def steps(self) -> list[Step]:
        own = {**self._settings.arguments(), "fill": self._settings.fill}
        inner = [_step(operation) for operation in self._space]
        return [*self._before.steps(), Step(type(self._settings).__name__, own, inner)]


def _step(operation: Operation) -> Step:
    still = operation.weakest == operation.strongest
    ends = {"from": operation.weakest, "to": operation.strongest, "either way": operation.signed}
    return Step(operation.name, {} if still else ends, [])


def drawn_operation(
    picture: np.ndarray,
    operation: Operation,
    share: float,
    numbers: np.random.Generator,
    fill: int,
) -> np.ndarray:
    """uint8 `[h, w, 3]` after one operation at a share of its way, of a sign that is drawn."""
    from PIL import Image

    magnitude = operation.magnitude(share)
    if operation.signed and numbers.integers(2):
        magnitude = -magnitude
    return np.asarray(apply(operation.name, Image.fromarray(picture), magnitude, fill))
