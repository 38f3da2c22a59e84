"""What is minimised on a batch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from graftwork.config.errors import check_choice, check_range
from graftwork.transfer.mixing import Mix
from graftwork.transfer.parts import Facts, Objective

if TYPE_CHECKING:
    from graftwork.transfer.bound.objective import BoundObjective

# What a class's weight falls with: its number of pictures to this power.
CLASS_WEIGHTS = {"none": 0.0, "root": 0.5, "balanced": 1.0}


@dataclass(frozen=True)
class CrossEntropy(Objective):
    """Cross-entropy, smoothed or not (Szegedy et al. 2016, section 7), of images as they are or
    mixed; with focus what is said rightly and surely counts less (Lin et al. 2017)."""

    label_smoothing: float  # [0, 1): of the target's mass, spread evenly over all classes
    focus: float  # gamma, the power of 1 - p; 0: none
    # none; balanced: every class counts alike; root: half-way. Mean 1 over the training pictures.
    class_weights: str
    mix: Mix

    def __post_init__(self) -> None:
        check_range("label_smoothing", self.label_smoothing, 0, 0.99)
        check_range("focus", self.focus, 0, 10)
        check_choice("class_weights", self.class_weights, CLASS_WEIGHTS)

    @property
    def mixes(self) -> bool:
        return self.mix.mixes

    @property
    def weighs_classes(self) -> bool:
        return self.class_weights != "none"

    def bound(self, facts: Facts) -> BoundObjective:
        import torch

        from graftwork.transfer.bound.cross_entropy import BoundCrossEntropy
        from graftwork.transfer.bound.mixing import Mixer

        power = CLASS_WEIGHTS[self.class_weights]
        weights = torch.tensor(weights_of(facts.counts, power)) if power else None
        mixer = Mixer(self.mix) if self.mix.mixes else None
        return BoundCrossEntropy(
            facts.num_classes, self.label_smoothing, self.focus, weights, mixer
        )


def weights_of(counts: Sequence[int], power: float) -> list[float]:
    """A weight for each class that falls with its pictures, of mean 1 over the pictures: another
    mean would be another learning rate. A class without pictures has none."""
    plain = [count**-power if count else 0.0 for count in counts]
    total = sum(weight * count for weight, count in zip(plain, counts, strict=True))
    return [weight * sum(counts) / total for weight in plain]
