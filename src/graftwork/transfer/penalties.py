"""What is added to the objective: what holds a network near its first weights or features."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from graftwork.config.errors import check_range
from graftwork.transfer.parts import Facts, Penalty

if TYPE_CHECKING:
    from graftwork.models.network.classifier import Classifier
    from graftwork.transfer.at_hand import AtHand
    from graftwork.transfer.bound.objective import BoundObjective
    from graftwork.transfer.bound.penalty import BoundPenalty


@dataclass(frozen=True)
class L2SP(Penalty):
    """L2-SP (Li et al. 2018): the backbone is drawn towards the weights that it begins from, the
    head towards 0. It takes the place of weight decay on both."""

    weight: float  # a: a / 2 times the squared distance of the backbone's parameters
    head_weight: float  # b: b / 2 times the squared length of the head's

    def __post_init__(self) -> None:
        check_range("weight", self.weight, 0)
        check_range("head_weight", self.head_weight, 0)

    @property
    def looks_inside(self) -> bool:
        return False

    @property
    def needs_learnt_start(self) -> bool:
        return True

    @property
    def networks(self) -> int:
        return 1

    @contextmanager
    def bound(
        self, classifier: Classifier, objective: BoundObjective, facts: Facts, at_hand: AtHand
    ) -> Iterator[BoundPenalty | None]:
        from graftwork.transfer.bound.towards_start import TowardsStart

        yield TowardsStart(classifier, self.weight, self.head_weight)


@dataclass(frozen=True)
class Delta(Penalty):
    """DELTA (Li et al. 2019): feature maps stay near those of the first weights, the more so the
    more the loss rises without their channel."""

    # Of the mean over the pictures of a batch. The paper sums over them: its 0.01 is 0.01 times
    # the batch here.
    weight: float
    layers: int  # the last so many layer groups' maps
    attention: bool  # false: every channel alike
    attention_pictures: int  # that the rise of the loss is measured on
    sharpness: float  # of the softmax over rises of mean 0 and deviation 1

    def __post_init__(self) -> None:
        check_range("weight", self.weight, 0)
        check_range("layers", self.layers, 1)
        check_range("attention_pictures", self.attention_pictures, 1)
        check_range("sharpness", self.sharpness, 0)

    @property
    def needs_learnt_start(self) -> bool:
        return True

    @property
    def networks(self) -> int:
        return 1

    @property
    def needs_fitted_head(self) -> bool:
        return self.attention

    @contextmanager
    def bound(
        self, classifier: Classifier, objective: BoundObjective, facts: Facts, at_hand: AtHand
    ) -> Iterator[BoundPenalty | None]:
        from graftwork.transfer.bound.channel_attention import channel_attention, even
        from graftwork.transfer.bound.feature_maps import MapsOfTheStart, last_places
        from graftwork.transfer.bound.resting import first_network

        source = first_network(classifier)
        places = last_places(classifier, self.layers)
        if self.attention:
            pictures = at_hand.pictures(self.attention_pictures)
            attention = channel_attention(source, places, pictures, objective, self.sharpness)
        else:
            attention = even(source, places)
        yield MapsOfTheStart(source, attention, self.weight)


@dataclass(frozen=True)
class BatchSpectralShrinkage(Penalty):
    """BSS (Chen et al. 2019): the smallest singular values of a batch's features, whose directions
    transfer least, are made smaller.

    They are values of the batch of one process: several processes shrink those of smaller batches.
    """

    weight: float
    count: int  # k, how many of the smallest

    def __post_init__(self) -> None:
        check_range("weight", self.weight, 0)
        check_range("count", self.count, 1)

    @property
    def looks_inside(self) -> bool:
        return False

    @contextmanager
    def bound(
        self, classifier: Classifier, objective: BoundObjective, facts: Facts, at_hand: AtHand
    ) -> Iterator[BoundPenalty | None]:
        from graftwork.transfer.bound.spectrum import SmallestSingularValues

        yield SmallestSingularValues(self.weight, self.count)
