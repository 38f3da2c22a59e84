"""The CIFAR networks of He et al. (2015), and which depths they have; needs no torch."""

from __future__ import annotations

from dataclasses import dataclass

from graftwork.config.errors import UserError, check_choice, check_range
from graftwork.models.timm_model import TimmModel


def blocks_per_stage(depth: int) -> int:
    """n of 6n + 2: three stages of n blocks of two convolutions, the stem and the classifier.

    Raises:
        UserError: no whole number of blocks makes this depth.
    """
    n, rest = divmod(depth - 2, 6)
    if n >= 1 and not rest:
        return n
    below = max(8, 6 * n + 2)
    legal = f"{below} or {below + 6}" if n >= 1 else f"{below}"
    raise UserError(
        f"options.depth: {depth} layers cannot be shared evenly by three stages. Nearest legal: "
        f"{legal} (6n + 2: 20, 32, 44, 56, 110, ...)."
    )


@dataclass(frozen=True)
class CifarModel(TimmModel):
    """A plain or residual network for CIFAR, whose options are checked before any work."""

    def __post_init__(self) -> None:
        super().__post_init__()
        for name, value in self.options.items():
            check_choice("options", name, ("depth", "width"))
            if type(value) is not int:
                raise UserError(f"options.{name}: {value!r} is no whole number, such as 20.")
        if "depth" in self.options:
            blocks_per_stage(self.options["depth"])
        if "width" in self.options:
            check_range("options.width", self.options["width"], 1)
