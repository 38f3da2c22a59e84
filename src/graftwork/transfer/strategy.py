"""A transfer strategy: composable parts, nothing else."""

from __future__ import annotations

from dataclasses import dataclass

from graftwork.components import Component
from graftwork.errors import UserError, check_choice, check_range
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
    warmup_epochs: float  # linear from 0 to the peak rates; then cosine to 0
    label_smoothing: float  # [0, 1)
    # Share of the way from the first weights to the trained ones at which the model is kept
    # (WiSE-FT, Wortsman et al. 2022): 1 is plain fine-tuning, less forgets less of the source.
    trained_share: float  # (0, 1]

    def __post_init__(self) -> None:
        check_choice("initialisation", self.initialisation, ("pretrained", "random"))
        check_choice("batch_norm", self.batch_norm, ("frozen", "trained"))
        check_range("epochs", self.epochs, 0)
        check_range("warmup_epochs", self.warmup_epochs, 0, self.epochs or None)
        check_range("label_smoothing", self.label_smoothing, 0, 0.99)
        check_range("trained_share", self.trained_share, 0, 1, low_open=True)
        if not self.epochs and not self.head_init.needs_features:
            raise UserError(
                "epochs: 0 trains nothing, and this head_init computes nothing. Legal: 1 or more, "
                "or transfer/head_init=converged_probe."
            )
        if self.trained_share < 1 and self.batch_norm == "trained":
            raise UserError(
                f"trained_share: {self.trained_share} with batch_norm=trained, but statistics of "
                "two networks have no mean that fits either. Legal: 1, or batch_norm=frozen."
            )
