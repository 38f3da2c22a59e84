"""The composable parts of a transfer strategy, as kinds; each part has a file of its own."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from graftwork.config.components import Component

if TYPE_CHECKING:
    import numpy as np
    import torch

    from graftwork.models.base import Head, Model
    from graftwork.models.network.classifier import Classifier
    from graftwork.models.network.layout import Layout
    from graftwork.transfer.at_hand import AtHand
    from graftwork.transfer.bound.gathering import Gathering
    from graftwork.transfer.bound.objective import BoundObjective
    from graftwork.transfer.bound.penalty import BoundPenalty


@dataclass(frozen=True)
class Moment:
    """When: all of a training that a part may depend on, so that what it does needs no history."""

    step: int  # from 0
    steps: int  # of the whole training
    epoch: int  # from 0
    epochs: int  # of the whole training
    # Log loss of held-out pictures (nats) after each epoch that is done, where some are held out.
    # All that a part may know of how training went: so what it decides by is recorded, and the
    # same record gives the same decision.
    validated: tuple[float, ...] = ()

    @classmethod
    def of_epoch(cls, epoch: int, epochs: int, validated: Sequence[float] = ()) -> Moment:
        """The beginning of an epoch, where the number of steps is not known yet."""
        return cls(0, 0, epoch, epochs, tuple(validated))


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


@dataclass(frozen=True)
class Adapter(Component):
    """What is attached to a network while it trains, and merged into its weights afterwards.

    Outside of training a network is a plain one: averages, the model folder and everything behind
    it know no adapters.
    """

    @property
    def is_none(self) -> bool:
        """Whether nothing is attached at all."""
        return False

    @property
    def is_steady(self) -> bool:
        """Whether a network with it computes the same at every step, but for its weights."""
        return False

    @property
    def names_layers(self) -> bool:
        """Whether it may ask for layers that a network lacks: then attaching it says so."""
        return False

    def check(self, batch_norm: str) -> None:
        """Raises UserError for a mode of BatchNorm that it cannot work with."""

    @abstractmethod
    def attach(self, classifier: Classifier, seed: int) -> None:
        """Attaches it; the network still computes what it computed before.

        Args:
            seed: of whatever is random about it.
        """

    @abstractmethod
    def merge(self, classifier: Classifier) -> None:
        """Takes it off again: parameters and buffers have their plain names, and the network in
        eval mode computes what it computed with the adapter."""

    def tell(self, classifier: Classifier, moment: Moment, seed: int) -> None:
        """Told the moment of a step before its forward pass; what it draws follows from that."""


@dataclass(frozen=True)
class Trainable(Component):
    """What is trained, and what is frozen."""

    @property
    def names_groups(self) -> bool:
        """Whether it may ask for layer groups, layers or parameters that a network lacks."""
        return False

    @property
    def needs_validation(self) -> bool:
        """Whether it decides by what held-out pictures say after each epoch."""
        return False

    @abstractmethod
    def groups(self, names: Sequence[str], moment: Moment) -> list[bool]:
        """Whether anything of each layer group may be trained at this moment.

        A pure function of it, so that what is frozen never depends on what was run before. What
        changes, changes at the beginning of an epoch.

        Args:
            names: from stem to the last backbone group; the head is always trained unless the
                strategy trains nothing.
        """

    def parameters(self, layout: Layout, moment: Moment) -> frozenset[str]:
        """Which parameters of the backbone are trained at this moment: whole groups, unless a part
        says otherwise. As pure as `groups`, and within them.

        Raises:
            UserError: the network lacks what is asked for.
        """
        return layout.of_groups(self.groups(layout.names, moment))

    def asked(self, layout: Layout, epochs: int) -> dict[str, frozenset[str]]:
        """The parameters that are asked for, by the words that ask; some may be kept all the same,
        as BatchNorm's are where it is frozen."""
        return {"transfer.trainable": self.ever_parameters(layout, epochs)}

    def notes(self, layout: Layout) -> list[str]:
        """What a reader of the plan should know besides, a sentence each."""
        return []

    def moments(self, names: Sequence[str], epochs: int) -> list[Moment]:
        """The beginning of every epoch; of a part that decides by held-out pictures, as if they
        asked for everything as early as they can."""
        return [Moment.of_epoch(epoch, epochs) for epoch in range(epochs)]

    def ever(self, names: Sequence[str], epochs: int) -> list[bool]:
        """Whether anything of each layer group may be trained in any of so many epochs."""
        each = [self.groups(names, moment) for moment in self.moments(names, epochs)]
        return [any(trained) for trained in zip(*each, strict=True)] or [False] * len(names)

    def ever_parameters(self, layout: Layout, epochs: int) -> frozenset[str]:
        """The parameters of the backbone that are trained in any of so many epochs."""
        each = [self.parameters(layout, moment) for moment in self.moments(layout.names, epochs)]
        return frozenset[str]().union(*each)


@dataclass(frozen=True)
class Rates(Component):
    """The learning rate of each layer group."""

    @property
    def follow_weights(self) -> bool:
        """Whether they are shares of the weights' own sizes."""
        return False

    @property
    @abstractmethod
    def scale(self) -> str:
        """The field in proportion to which all of them are."""

    def times(self, factor: float) -> Rates:
        """The same, each so many times as high."""
        return replace(self, **{self.scale: factor * getattr(self, self.scale)})

    @abstractmethod
    def of(self, depth: int, size: float) -> float:
        """Peak learning rate of a tensor.

        Args:
            depth: of its layer group: how many steps below the head (the head is 0).
            size: root mean square of its values before the first step.
        """


@dataclass(frozen=True)
class Optimiser(Component):
    """How gradients become steps."""

    weight_decay: float  # not applied to biases and normalisation

    @property
    def moves_by_rate(self) -> bool:
        """Whether a step moves a value by about its rate, whatever the gradient, as Adam's does."""
        return True

    @property
    def rate_growth(self) -> float:
        """Exponent with which rates follow the number of images a step.

        1: in proportion (Goyal et al. 2017); 0.5: with its root, which is what keeps the noise of
        optimisers that adapt to the gradient (Malladi et al. 2022).
        """
        return 0.5

    def check(self) -> None:
        """Raises UserError for what only the library behind it can tell; before any work."""

    @abstractmethod
    def build(self, groups: Sequence[Mapping[str, Any]]) -> torch.optim.Optimizer:
        """The optimiser.

        Args:
            groups: of parameters, each with its peak rate `lr` and its `weight_decay`.
        """


@dataclass(frozen=True)
class Schedule(Component):
    """How rates change while training goes on."""

    @property
    def needs_validation(self) -> bool:
        """Whether it follows what held-out pictures say after each epoch."""
        return False

    @abstractmethod
    def factor(self, moment: Moment) -> float:
        """Share of the peak rates at a step; pure: never what was before."""


@dataclass(frozen=True)
class Sampler(Component):
    """Which training pictures an epoch shows, and in which order."""

    @property
    def balances(self) -> bool:
        """Whether rare classes are shown more often than their pictures are many."""
        return False

    @abstractmethod
    def rows(self, labels: np.ndarray, seed: int, epoch: int) -> np.ndarray:
        """The rows of an epoch in order, as many as there are labels; follows from seed and epoch.

        Args:
            labels: integers `[n]` of the pictures that are fitted.

        Returns:
            integers `[n]`; a row may come several times, each time as another random view.
        """


@dataclass(frozen=True)
class Facts:
    """What a part is told of the training that it is bound to; of a refit, what is fitted then."""

    num_classes: int
    counts: tuple[int, ...]  # pictures of each class among those that are fitted
    seed: int  # of whatever is random about the part

    @classmethod
    def of(cls, labels: np.ndarray, num_classes: int, seed: int) -> Facts:
        """Of the pictures with these labels, integers `[n]`."""
        counts = [int((labels == label).sum()) for label in range(num_classes)]
        return cls(num_classes, tuple(counts), seed)

    @classmethod
    def even(cls, num_classes: int, seed: int = 0) -> Facts:
        """Where no pictures are known: a picture a class."""
        return cls(num_classes, (1,) * num_classes, seed)


@dataclass(frozen=True)
class Objective(Component):
    """What is minimised on a batch."""

    @property
    def mixes(self) -> bool:
        """Whether it mixes pictures, so that it needs them."""
        return False

    @property
    def weighs_classes(self) -> bool:
        """Whether rare classes count for more than their pictures are many."""
        return False

    @abstractmethod
    def bound(self, facts: Facts) -> BoundObjective:
        """The objective at work on one training."""


@dataclass(frozen=True)
class Penalty(Component):
    """What is added to the objective."""

    @property
    def looks_inside(self) -> bool:
        """Whether it looks at pictures, or at maps inside the backbone: it needs all of a forward
        pass. One that looks at weights, features and logits alone says that it does not."""
        return True

    @property
    def needs_learnt_start(self) -> bool:
        """Whether it holds on to what the first weights have learnt."""
        return False

    @property
    def needs_fitted_head(self) -> bool:
        """Whether it asks the head that training begins from."""
        return False

    @property
    def needs_source_head(self) -> bool:
        """Whether it asks the classifier that the backbone was pretrained with."""
        return False

    def check(self, place: str) -> None:
        """Looks at what it names on disk, without torch.

        Args:
            place: its key in the configuration, for messages.

        Raises:
            UserError: it is not there, or is none.
        """

    def receipt(self) -> dict[str, Any]:
        """Plain values for the model's contract: which files it learnt from, by their sha256."""
        return {}

    def check_classes(self, place: str, classes: Sequence[str]) -> None:
        """Raises UserError where what it names on disk does not fit these classes."""

    @abstractmethod
    def bound(
        self, classifier: Classifier, objective: BoundObjective, facts: Facts, at_hand: AtHand
    ) -> AbstractContextManager[BoundPenalty | None]:
        """While training lasts: what adds the penalty of this classifier to the loss of a batch.

        Entered before the first step, in every process, with the weights that training begins from.

        Returns:
            None inside the context where there is nothing to add.
        """


@dataclass(frozen=True)
class Average(Component):
    """Which weights are kept: of the last step, of several, or of a point between."""

    trained_shares: list[float]  # points on the way that held-out pictures choose from, [0, 1]

    @abstractmethod
    def gathering(self, asked: bool, enough: bool) -> Gathering | None:
        """What gathers the weights of one training; None: the last ones are kept.

        Args:
            asked: whether held-out pictures are asked after each epoch.
            enough: whether they are `selection.min_val` or more, so that epochs can be told apart.
        """

    @abstractmethod
    def place(
        self,
        classifier: Classifier,
        start: Mapping[str, torch.Tensor],
        end: Mapping[str, torch.Tensor],
        share: float,
    ) -> None:
        """Sets the classifier's weights to a point of the way from start to end."""


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
    def fit(
        self,
        features: np.ndarray,
        labels: np.ndarray,
        num_classes: int,
        fold: np.ndarray,
        seed: int,
    ) -> FittedHead:
        """The head for these pictures; its own constants are chosen on held-out ones.

        Args:
            features: float32 `[n, num_features]`.
            labels: integers `[n]`.
            fold: `[n]`, in which each is held out; see graftwork.data.folds.
            seed: of whatever is random about it.
        """

    @abstractmethod
    def cross_validated(
        self,
        features: np.ndarray,
        labels: np.ndarray,
        num_classes: int,
        fold: np.ndarray,
        seed: int,
    ) -> np.ndarray:
        """`FittedHead.held_out` alone, of a part that has nothing left to choose."""
