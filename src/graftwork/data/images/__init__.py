"""Pictures: decoded by one policy, resized one way, kept decoded.

Everything that looks at a picture goes through here, so that training, evaluation and prediction
see the same pixels.
"""

from graftwork.data.images.decoding import (
    POLICY,
    Header,
    TooManyPixels,
    UnreadableImage,
    decode,
    inspect,
)
from graftwork.data.images.resizing import VIEW, eval_view, fit_side
from graftwork.data.images.store import DecodedImages, decoded_store

__all__ = [
    "POLICY",
    "VIEW",
    "DecodedImages",
    "Header",
    "TooManyPixels",
    "UnreadableImage",
    "decode",
    "decoded_store",
    "eval_view",
    "fit_side",
    "inspect",
]
