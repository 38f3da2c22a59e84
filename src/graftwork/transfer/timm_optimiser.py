"""How gradients become steps: any optimiser of timm's, by its name there."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from inspect import signature
from pathlib import Path
from typing import TYPE_CHECKING, Any

from graftwork.config.errors import UserError, check_range, nearest_first, unknown
from graftwork.transfer.parts import Optimiser

if TYPE_CHECKING:
    import torch

NEAREST = 10  # names that an error lists
# What the optimiser's groups say already, each for itself.
GROUPED = ("params", "lr", "weight_decay")
# Adafactor sets rates of its own, AdaHessian wants second derivatives.
REFUSED = ("adafactor", "cadafactor", "adahessian")
# A step of these has about the size of the rate, whatever the gradients' and the weights' sizes are
# (a test measures it).
BY_RATE = frozenset((
    "adabelief", "adam", "adamax", "adamp", "adamw", "adamwlegacy", "adan", "adanw", "cadamp",
    "cadamw", "cadan", "cadanw", "claprop", "clion", "cnadamw", "laprop", "lion", "nadam",
    "nadamlegacy", "nadamw",
))  # fmt: skip
_NAMED = re.compile(r"OptimInfo\(\s*name='(\w+)'")


@dataclass(frozen=True)
class TimmOptimiser(Optimiser):
    """An optimiser of timm's, such as LAMB (You et al. 2020), with timm's values."""

    name: str  # as timm.optim.list_optimizers() has it
    options: dict[str, Any]  # further arguments of it, such as betas

    def __post_init__(self) -> None:
        check_range("weight_decay", self.weight_decay, 0, 1)
        if self.name not in legal_names():
            nearest = nearest_first(self.name, legal_names())[:NEAREST]
            raise unknown("name", self.name, nearest, f"(Nearest of {len(legal_names())}.)")
        for option in GROUPED:
            if option in self.options:
                raise UserError(
                    f"options.{option}: is said elsewhere. Leave it out: rates are those of "
                    "transfer/rates, decay is transfer.optimiser.weight_decay."
                )

    @property
    def moves_by_rate(self) -> bool:
        return self.name in BY_RATE

    @property
    def rate_growth(self) -> float:
        """Square root for what adapts to the gradient, LAMB (You et al. 2020) too."""
        return 0.5 if self.moves_by_rate or "lamb" in self.name else 1.0

    def check(self) -> None:
        """Looks into timm, which takes seconds to import."""
        made = _timms().get_optimizer_class(self.name, bind_defaults=False)
        legal = [name for name in signature(made).parameters if name not in GROUPED]
        for option in self.options:
            if option not in legal:
                raise unknown(f"transfer.optimiser.options.{option}", option, legal)

    def build(self, groups: Sequence[Mapping[str, Any]]) -> torch.optim.Optimizer:
        self.check()
        return _timms().create_optimizer_v2(
            [dict(group) for group in groups],
            opt=self.name,
            weight_decay=self.weight_decay,
            **self.options,
        )


def _timms() -> Any:
    import graftwork.process.vision  # noqa: F401  (torchvision may need its cure first)

    # isort: split
    import timm.optim

    return timm.optim


@cache
def legal_names() -> tuple[str, ...]:
    """What can be named, read from timm's source: a misspelt name must be refused in a blink.

    Those of apex and bitsandbytes are left out, further packages that want CUDA, and Kron, which
    wants another one.
    """
    spec = find_spec("timm")
    assert spec is not None and spec.origin, "timm is a dependency of this package"
    factory = Path(spec.origin).parent / "optim" / "_optim_factory.py"
    found = _NAMED.findall(factory.read_text(encoding="utf-8"))
    elsewhere = re.compile(r"fused|bnb|kron")
    return tuple(n for n in sorted(set(found)) if n not in REFUSED and not elsewhere.match(n))
