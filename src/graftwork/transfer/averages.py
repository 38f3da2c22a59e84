"""Which weights are kept of a training, and how far towards them to go.

Each goes part of the way from the first weights to those that it keeps (WiSE-FT, Wortsman et al.
2022): 1 is plain fine-tuning, less forgets less of the source, 0 is the head that training began
from. Held-out pictures choose one of the points; without them the last one is taken.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from graftwork.config.errors import check_range
from graftwork.transfer.parts import Average

if TYPE_CHECKING:
    import torch

    from graftwork.models.network.classifier import Classifier
    from graftwork.transfer.bound.gathering import Gathering


@dataclass(frozen=True)
class PartOfTheWay(Average):
    """The best epoch where enough pictures are held out to tell, else the last one."""

    def __post_init__(self) -> None:
        check_range("trained_shares: how many", len(self.trained_shares), 1)
        for share in self.trained_shares:
            check_range("trained_shares", share, 0, 1)

    def gathering(self, asked: bool, enough: bool) -> Gathering | None:
        from graftwork.transfer.bound.gathering import BestEpoch

        return BestEpoch() if enough else None

    def place(
        self,
        classifier: Classifier,
        start: Mapping[str, torch.Tensor],
        end: Mapping[str, torch.Tensor],
        share: float,
    ) -> None:
        """1 gives the end and 0 the start, bit for bit."""
        for name, tensor in classifier.state_dict().items():
            if share in (0, 1) or not tensor.is_floating_point():
                tensor.copy_((start if share == 0 else end)[name])
            else:
                tensor.copy_(start[name].lerp(end[name], share))


@dataclass(frozen=True)
class Last(PartOfTheWay):
    """The last epoch."""

    def gathering(self, asked: bool, enough: bool) -> Gathering | None:
        return None


@dataclass(frozen=True)
class Best(PartOfTheWay):
    """The epoch with the highest held-out top-1, however few pictures say so."""

    def gathering(self, asked: bool, enough: bool) -> Gathering | None:
        from graftwork.transfer.bound.gathering import BestEpoch

        return BestEpoch() if asked else None


@dataclass(frozen=True)
class EMA(PartOfTheWay):
    """The exponential moving average over all steps (Polyak & Juditsky 1992), as timm's."""

    decay: float  # share of the average that stays at a step, at most; [0, 1)
    power: float  # of the warm-up, in which less of it stays: 1 - (1 + step) ** -power

    def __post_init__(self) -> None:
        super().__post_init__()
        check_range("decay", self.decay, 0, 0.999999)
        check_range("power", self.power, 0, low_open=True)

    def gathering(self, asked: bool, enough: bool) -> Gathering | None:
        from graftwork.transfer.bound.gathering import MovingAverage

        return MovingAverage(self.decay, self.power)


@dataclass(frozen=True)
class SWA(PartOfTheWay):
    """The mean of the last epochs' weights (Izmailov et al. 2018)."""

    begin: float  # share of the steps behind which an epoch's end counts, [0, 1)

    def __post_init__(self) -> None:
        super().__post_init__()
        check_range("begin", self.begin, 0, 0.9999)

    def gathering(self, asked: bool, enough: bool) -> Gathering | None:
        from graftwork.transfer.bound.gathering import MeanOfEpochs

        return MeanOfEpochs(self.begin)


@dataclass(frozen=True)
class ModelSoup(PartOfTheWay):
    """The mean of the best epochs' weights (Wortsman et al. 2022, of epochs in place of runs)."""

    best: int  # epochs that are tried
    greedy: bool  # leave out those that lower held-out top-1

    def __post_init__(self) -> None:
        super().__post_init__()
        check_range("best", self.best, 1)

    def gathering(self, asked: bool, enough: bool) -> Gathering | None:
        from graftwork.transfer.bound.gathering import Soup

        return Soup(self.best, self.greedy)
