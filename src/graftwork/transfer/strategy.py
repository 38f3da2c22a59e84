"""A transfer strategy: composable parts, nothing else."""

from __future__ import annotations

import math
from dataclasses import dataclass

from graftwork.config.components import Component
from graftwork.config.errors import UserError, check_choice, check_range
from graftwork.models.batch_norm import MODES, moves_statistics
from graftwork.transfer.parts import (
    Adapter,
    Average,
    HeadInit,
    Objective,
    Optimiser,
    Penalty,
    Rates,
    Sampler,
    Schedule,
    Start,
    Trainable,
)
from graftwork.transfer.trainable import HeadOnly


@dataclass(frozen=True)
class Transfer(Component):
    """How a pretrained network is grafted onto a new task."""

    name: str
    start: Start
    head_init: HeadInit
    adapter: Adapter
    trainable: Trainable
    rates: Rates
    optimiser: Optimiser
    schedule: Schedule
    sampler: Sampler
    objective: Objective
    penalties: dict[str, Penalty]  # by the name under which their loss is recorded
    average: Average
    batch_norm: str  # frozen, adapt, affine or trained; see graftwork.models.batch_norm
    epochs: int  # 0: nothing is trained after the head's initialisation
    # Training takes at least so many steps, in further epochs where pictures are few: what a head
    # has to learn does not shrink with them (BiT-HyperRule, Kolesnikov et al. 2020).
    least_steps: int

    def __post_init__(self) -> None:
        check_choice("batch_norm", self.batch_norm, MODES)
        check_range("epochs", self.epochs, 0)
        check_range("least_steps", self.least_steps, 0)
        if not self.epochs and not self.head_init.needs_features:
            raise UserError(
                "epochs: 0 trains nothing, and this head_init computes nothing. Legal: 1 or more, "
                "or transfer/head_init=converged_probe."
            )
        if not self.epochs and self.batch_norm == "adapt":
            raise UserError(
                "batch_norm: adapt with epochs=0, but without training no statistics follow. "
                "Legal: epochs of 1 or more, or batch_norm=frozen."
            )
        if self.epochs and self.head_init.no_start:
            raise UserError(
                f"epochs: {self.epochs}, but {self.head_init.no_start}. Legal: 0, or a head that "
                "can be trained: transfer/head_init=converged_probe, class_means, cosine_means, "
                "linear_svm, ridge or mlp."
            )
        self._check_adapter()
        if self.objective.weighs_classes and self.sampler.balances:
            raise UserError(
                "objective.class_weights: with a sampler that balances the classes, rare ones "
                "would count twice. Choose transfer.objective.class_weights=none, or "
                "transfer/sampler=shuffled."
            )
        for name, penalty in self.penalties.items():
            self._check_penalty(f"penalties.{name}", penalty)
        self._check_way()
        self._check_rates()

    def _check_penalty(self, place: str, penalty: Penalty) -> None:
        """What it holds on to must be there."""
        if penalty.needs_learnt_start and not self.start.is_learnt:
            raise UserError(
                f"{place}: holds on to what the first weights have learnt, and random ones have "
                "learnt nothing. Choose transfer/start=registry, or leave it out "
                f"(transfer.{place}=null)."
            )
        if penalty.needs_source_head and not self.start.is_registry:
            raise UserError(
                f"{place}: asks the classifier that the backbone was pretrained with, which the "
                "model's own weights alone bring. Choose transfer/start=registry, or leave it out "
                f"(transfer.{place}=null)."
            )
        if penalty.needs_fitted_head and not self.head_init.needs_features:
            raise UserError(
                f"{place}: asks the head that training begins from, here an untrained one. Choose "
                "transfer/head_init=converged_probe, or a form that does not ask "
                f"(transfer.{place}.attention=false)."
            )

    def _check_adapter(self) -> None:
        """What is attached must be trained, and fit the mode of BatchNorm."""
        if self.adapter.is_none:
            return
        if not self.epochs:
            raise UserError(
                "adapter: epochs=0 trains nothing, so that there is nothing to attach it for. "
                "Legal: transfer/adapter=none, or epochs=1 or more."
            )
        self.adapter.check(self.batch_norm)

    def _check_way(self) -> None:
        """Points on the way that these parts cannot give."""
        shares = self.average.trained_shares
        if 0 in shares and not self.head_init.needs_features:
            raise UserError(
                "average.trained_shares: 0 keeps what training began from, here an untrained head. "
                "Legal: more than 0 (transfer.average.trained_shares=[1.0]), or "
                "transfer/head_init=converged_probe."
            )
        between = [share for share in shares if 0 < share < 1]
        if between and moves_statistics(self.batch_norm):
            raise UserError(
                f"average.trained_shares: {between[0]} with batch_norm={self.batch_norm}, but "
                "statistics of two networks have no mean that fits either. Legal: 0 and 1, or "
                "batch_norm=frozen or affine."
            )

    def _check_rates(self) -> None:
        """Rates that this optimiser would understand as something else."""
        if self.rates.follow_weights and not self.optimiser.moves_by_rate:
            raise UserError(
                "rates: these are shares of the weights' own sizes, by which this optimiser does "
                "not move them: its steps also follow the gradients' sizes, or the weights' a "
                "second time. Legal: transfer/rates=uniform or layer_decay, or "
                "transfer/optimiser=adamw."
            )

    @property
    def trains_only_the_head(self) -> bool:
        """Whether steps change nothing of the backbone."""
        alone = isinstance(self.trainable, HeadOnly)
        return alone and self.adapter.is_none and self.batch_norm == "frozen"

    @property
    def needs_pictures(self) -> str:
        """Why the maps behind frozen layers are not enough to train on; empty where they are."""
        if self.objective.mixes:
            return "the objective mixes pictures, and maps are none"
        if not self.adapter.is_none:
            return "an adapter changes layers of the network"
        inside = [name for name, penalty in self.penalties.items() if penalty.looks_inside]
        if inside:
            return f"the penalty {inside[0]} looks at pictures or at maps inside the network"
        return ""

    @property
    def not_compiled(self) -> str:
        """Why a compiled network would not be the same; empty where it is."""
        if not self.adapter.is_steady:
            return "its adapter draws anew at every step"
        inside = [name for name, penalty in self.penalties.items() if penalty.looks_inside]
        if inside:
            return f"the penalty {inside[0]} looks at pictures or at maps inside the network"
        return ""

    def epochs_of(self, steps: int) -> int:
        """Epochs of a training.

        Args:
            steps: of one of them.
        """
        return max(self.epochs, math.ceil(self.least_steps / steps)) if self.epochs else 0
