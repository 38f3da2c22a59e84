"""The CIFAR networks of He et al. (2015), and which depths they have; needs no torch."""

from __future__ import annotations

from dataclasses import dataclass

from graftwork.config.errors import UserError, check_choice, check_range
from graftwork.models.cifar_depth import blocks_per_stage
from graftwork.models.timm_model import TimmModel


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
