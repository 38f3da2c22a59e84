"""A transfer strategy: composable parts, nothing else."""

from __future__ import annotations

import math
from dataclasses import dataclass

from graftwork.config.components import Component
from graftwork.config.errors import UserError, check_choice, check_range
from graftwork.transfer.parts import HeadInit, Rates, Regulariser, Trainable


@dataclass(frozen=True)
class Transfer(Component):
    """How a pretrained network is grafted onto a new task."""

    name: str
    initialisation: str  # pretrained or random
    head_init: HeadInit
    trainable: Trainable
    rates: Rates
    regulariser: Regulariser
    batch_norm: str  # frozen: statistics and affine stay; trained: both follow the new data
    epochs: int  # 0: nothing is trained after the head's initialisation
    # Training takes at least so many steps, in further epochs where pictures are few: what a head
    # has to learn does not shrink with them (BiT-HyperRule, Kolesnikov et al. 2020).
    least_steps: int
    warmup: float  # share of the steps, linear from 0 to the peak rates; then cosine to 0
    label_smoothing: float  # [0, 1)
    # Points on the way from the first weights to the trained ones; held-out pictures choose at
    # which of them the model is kept (WiSE-FT, Wortsman et al. 2022). 1 is plain fine-tuning, less
    # forgets less of the source, 0 is the head that training began from.
    trained_shares: list[float]  # [0, 1]; without held-out pictures the last one is taken

    def __post_init__(self) -> None:
        check_choice("initialisation", self.initialisation, ("pretrained", "random"))
        check_choice("batch_norm", self.batch_norm, ("frozen", "trained"))
        check_range("epochs", self.epochs, 0)
        check_range("least_steps", self.least_steps, 0)
        check_range("warmup", self.warmup, 0, 1)
        check_range("label_smoothing", self.label_smoothing, 0, 0.99)
        check_range("trained_shares: how many", len(self.trained_shares), 1)
        for share in self.trained_shares:
            check_range("trained_shares", share, 0, 1)
        if not self.epochs and not self.head_init.needs_features:
            raise UserError(
                "epochs: 0 trains nothing, and this head_init computes nothing. Legal: 1 or more, "
                "or transfer/head_init=converged_probe."
            )
        if 0 in self.trained_shares and not self.head_init.needs_features:
            raise UserError(
                "trained_shares: 0 keeps what training began from, here an untrained head. Legal: "
                "more than 0 (transfer.trained_shares=[1.0]), or "
                "transfer/head_init=converged_probe."
            )
        between = [share for share in self.trained_shares if 0 < share < 1]
        if between and self.batch_norm == "trained":
            raise UserError(
                f"trained_shares: {between[0]} with batch_norm=trained, but statistics of two "
                "networks have no mean that fits either. Legal: 0 and 1, or batch_norm=frozen."
            )

    def epochs_of(self, steps: int) -> int:
        """Epochs of a training.

        Args:
            steps: of one of them.
        """
        return max(self.epochs, math.ceil(self.least_steps / steps)) if self.epochs else 0
