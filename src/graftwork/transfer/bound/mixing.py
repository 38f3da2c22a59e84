"""Images of a batch mixed in pairs, and their labels with them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch.nn import functional as F

from graftwork.transfer.mixing import Mix

Box = tuple[slice, slice]  # rows, columns


@dataclass(frozen=True)
class Mixer:
    """Mixup and CutMix as timm has them: one share for a batch, whose images meet those of the
    batch in reverse."""

    settings: Mix

    def __call__(
        self,
        images: torch.Tensor,
        labels: torch.Tensor,
        num_classes: int,
        generator: torch.Generator,
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """See `BoundObjective.mix`; a batch that is not mixed keeps its labels."""
        mix = self.settings
        # numpy has a beta distribution that takes a generator; torch has none.
        seed = int(torch.randint(2**62, (1,), generator=generator))
        random = np.random.default_rng(seed)
        if random.random() >= mix.share:
            return images, labels
        cut = bool(mix.cutmix) and (not mix.mixup or random.random() < mix.cutmix_share)
        strength = mix.cutmix if cut else mix.mixup
        share = float(random.beta(strength, strength))
        if cut:
            images, share = pasted(images, share, random)
        else:
            images = images.float().lerp(images.flip(0).float(), 1 - share)
        own = F.one_hot(labels, num_classes).float()
        return images, own.lerp(own.flip(0), 1 - share)


def pasted(
    images: torch.Tensor, share: float, random: np.random.Generator
) -> tuple[torch.Tensor, float]:
    """The images with a rectangle of their partners', and the share that is their own then."""
    height, width = images.shape[1:3]
    centre = int(random.integers(height)), int(random.integers(width))
    rows, columns = box(height, width, share, centre)
    mixed = images.clone()
    mixed[:, rows, columns] = images.flip(0)[:, rows, columns]
    area = (rows.stop - rows.start) * (columns.stop - columns.start)
    return mixed, 1 - area / (height * width)


def box(height: int, width: int, share: float, centre: tuple[int, int]) -> Box:
    """The rectangle of 1 - share of the area, cut where it leaves the image (Yun et al. 2019)."""

    def span(side: int, middle: int) -> slice:
        cut = int(side * np.sqrt(1 - share))
        first = middle - cut // 2
        return slice(max(0, first), min(side, first + cut))

    return span(height, centre[0]), span(width, centre[1])
