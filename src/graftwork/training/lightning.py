"""Lightning and torchmetrics, importable: `from graftwork.training.lightning import pl`.

Both import torchvision, which on some machines needs the cure of graftwork.process.vision first.
"""

from __future__ import annotations

import graftwork.process.vision  # noqa: F401

# isort: split
import pytorch_lightning as pl
import torchmetrics
import torchmetrics.classification

__all__ = ["pl", "torchmetrics"]
