"""From a file's bytes to what the network of a model folder sees: one way, whoever predicts."""

from __future__ import annotations

import numpy as np

from graftwork.data.images import decode, eval_view
from graftwork.model_folder.contents import Contract


def view_of(content: bytes, contract: Contract) -> np.ndarray:
    """The pixels that evaluation would see, uint8 RGB `[size, size, 3]`, not normalised.

    Raises:
        graftwork.data.images.UnreadableImage: it cannot be decoded.
    """
    seen = contract.preprocessing
    return eval_view(decode(content, seen.max_pixels, seen.decoded_side), contract.input_spec)
