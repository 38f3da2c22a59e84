"""Where training begins: weights of the backbone, and of the head."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from graftwork.config.components import Component
from graftwork.data.folds import NEVER

if TYPE_CHECKING:
    from graftwork.models.base import Head, Model
    from graftwork.models.network.classifier import Classifier


@dataclass(frozen=True)
class Start(Component):
    """Where the backbone's first weights come from.

    What is stored of a backbone is keyed by the content of its weights: another file is another
    network, the same one under another path is not.
    """

    watched: str  # path whose content `dvc repro` watches: the user's own files, where there are

    @property
    def is_registry(self) -> bool:
        """Whether the model's own weights are wanted, which the download stage brings."""
        return False

    @property
    def is_learnt(self) -> bool:
        """Whether the weights have learnt anything, so that distances between features count."""
        return True

    @property
    def recorded(self) -> str | None:
        """Id of a recorded run whose model the download stage brings; None: no run's."""
        return None

    def check(self, model: Model) -> None:
        """Looks at what it names on disk, without torch.

        Raises:
            UserError: it is not there, or cannot be the start of this model.
        """

    @abstractmethod
    def receipt(self, model: Model, folder: Path) -> dict[str, Any] | None:
        """What is known of the weights: file, sha256, origin, pretrained_on, licence and more.

        Args:
            folder: where the download stage brings the model's own weights.

        Returns:
            plain values for the model's contract; None for random weights.
        """

    @abstractmethod
    def key_map_of(self, model: Model) -> str:
        """How names in the file become the backbone's; asked where there is a receipt."""

    @abstractmethod
    def network(self, model: Model, folder: Path) -> Classifier:
        """The backbone with these weights, and a head of one output.

        Random parts come from torch's global generator: seed it first.

        Args:
            folder: as of `receipt`.

        Raises:
            UserError: the weights are gone, are others than before, or do not fit the model.
        """


@dataclass(frozen=True, eq=False)
class Examples:
    """Pictures with their labels, as a frozen backbone sees them: what heads are computed from."""

    features: np.ndarray  # float32 [n, num_features]
    labels: np.ndarray  # integers [n]
    num_classes: int
    fold: np.ndarray  # [n], in which each is held out; see graftwork.data.folds
    seed: int  # of whatever is random about a head

    def without(self, out: np.ndarray) -> Examples:
        """The rest, where some are taken away (booleans `[n]`)."""
        rest = self.features[~out], self.labels[~out]
        return Examples(*rest, self.num_classes, self.fold[~out], self.seed)

    def parts(self) -> Iterator[tuple[np.ndarray, Examples]]:
        """Those that are held out of each fold (booleans `[n]`), and the rest."""
        for which in np.unique(self.fold[self.fold != NEVER]):
            out = self.fold == which
            yield out, self.without(out)


@dataclass(frozen=True)
class HeadInit(Component):
    """Where the head starts."""

    @property
    @abstractmethod
    def needs_features(self) -> bool:
        """Whether it is computed from stored features."""

    @property
    def chooses(self) -> str:
        """What held-out pictures choose of it, and by which rule: said in reports."""
        return "nothing"

    @property
    def no_start(self) -> str:
        """Why no training through the network can begin from it; empty where one can."""
        return ""

    @abstractmethod
    def fit(self, examples: Examples) -> FittedHead:
        """The head for these pictures; its own constants are chosen on held-out ones."""

    @abstractmethod
    def cross_validated(self, examples: Examples) -> np.ndarray:
        """`FittedHead.held_out` alone, of a part that has nothing left to choose."""


@dataclass(frozen=True)
class FittedHead:
    """A head that was computed from stored features."""

    head: Head  # its kind, and what was chosen of it
    tensors: dict[str, np.ndarray]  # of the module that it builds, by name
    num_classes: int
    facts: dict[str, float]  # worth reporting
    # float32 [n, num_classes]: probabilities of every picture by a head of the same kind that had
    # not seen it; NaN where every one had.
    held_out: np.ndarray
    fixed: HeadInit  # the part that gives this head, what it chose left it as the only choice

    @property
    def learnt(self) -> int:
        """Numbers that the fit has found."""
        fixed = self.head.fixed
        return sum(tensor.size for name, tensor in self.tensors.items() if name not in fixed)

    def logits(self, features: np.ndarray) -> np.ndarray:
        """float64 `[n, num_classes]` of features `[n, num_features]`."""
        return self.head.logits(self.tensors, features, self.num_classes)
