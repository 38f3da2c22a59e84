"""What is attached to a network while it trains."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from graftwork.config.errors import UserError, check_range
from graftwork.models.batch_norm import moves_statistics, trains_affine
from graftwork.transfer.parts import Adapter, Moment

if TYPE_CHECKING:
    from graftwork.models.network.classifier import Classifier


@dataclass(frozen=True)
class NoAdapter(Adapter):
    """Nothing: the network's own weights are trained."""

    @property
    def is_none(self) -> bool:
        return True

    @property
    def is_steady(self) -> bool:
        return True

    def attach(self, classifier: Classifier, seed: int) -> None:
        pass

    def merge(self, classifier: Classifier) -> None:
        pass


@dataclass(frozen=True)
class LowRank(Adapter):
    """Low-rank updates of frozen weights: W + alpha / rank * B A (LoRA, Hu et al. 2022).

    Linear layers and convolutions alike: the weight of a convolution is flattened to
    `[out, in * k * k]`. Of the backbone nothing else is trained, and of the updates those whose
    layers `transfer.trainable` chooses. Trained on, a network gets new updates on the merged ones.
    """

    layers: list[str]  # names of layers or of modules that hold them, with wildcards: "*.qkv"
    rank: int  # of an update; cut where a weight has shorter sides
    alpha: float  # an update counts alpha / rank times

    def __post_init__(self) -> None:
        check_range("layers: how many", len(self.layers), 1)
        check_range("rank", self.rank, 1)
        check_range("alpha", self.alpha, 0, low_open=True)

    @property
    def is_steady(self) -> bool:
        return True

    @property
    def names_layers(self) -> bool:
        return True

    def check(self, batch_norm: str) -> None:
        if trains_affine(batch_norm):
            raise UserError(
                f"adapter: low_rank freezes the backbone's own parameters, but batch_norm="
                f"{batch_norm} trains those of BatchNorm. Legal: transfer.batch_norm=frozen or "
                "adapt, or transfer/adapter=none."
            )

    def attach(self, classifier: Classifier, seed: int) -> None:
        from graftwork.transfer.bound import low_rank

        scale = self.alpha / self.rank
        low_rank.attach(classifier, self.layers, rank=self.rank, scale=scale, seed=seed)

    def merge(self, classifier: Classifier) -> None:
        from graftwork.transfer.bound import low_rank

        low_rank.merge(classifier)


@dataclass(frozen=True)
class StochasticNormalisation(Adapter):
    """BatchNorm that normalises each channel by the batch or by the moving statistics, drawn anew
    at every step (Kou et al. 2020); a plain one while it predicts.

    The moving statistics are those of the source: trusting them half of the time keeps a network
    from fitting the statistics of few pictures. Draws follow from seed and step, and are the same
    in every process.
    """

    batch_share: float  # probability that a channel is normalised by the batch, [0, 1]

    def __post_init__(self) -> None:
        check_range("batch_share", self.batch_share, 0, 1)

    def check(self, batch_norm: str) -> None:
        if not moves_statistics(batch_norm):
            raise UserError(
                f"adapter: stochastic_normalisation draws the batch's statistics, but batch_norm="
                f"{batch_norm} never looks at them. Legal: transfer.batch_norm=trained or adapt, "
                "or transfer/adapter=none."
            )

    def attach(self, classifier: Classifier, seed: int) -> None:
        from graftwork.transfer.bound import stochastic_norm

        stochastic_norm.attach(classifier)

    def merge(self, classifier: Classifier) -> None:
        from graftwork.transfer.bound import stochastic_norm

        stochastic_norm.merge(classifier)

    def tell(self, classifier: Classifier, moment: Moment, seed: int) -> None:
        from graftwork.transfer.bound import stochastic_norm

        stochastic_norm.draw(classifier, self.batch_share, seed, moment.step)
