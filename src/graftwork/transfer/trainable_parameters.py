"""What is trained, and what is frozen: parameters within layer groups."""

from __future__ import annotations

import re
from abc import abstractmethod
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

from graftwork.config.errors import UserError, check_range, nearest_first, unknown
from graftwork.transfer.parts import Moment, Trainable

if TYPE_CHECKING:
    from graftwork.models.network.layout import Layout

BACKBONE = "backbone."  # of the names within a classifier; users leave it out
NEAREST = 8  # names that an error lists


@dataclass(frozen=True)
class Chosen(Trainable):
    """Parameters that follow from the network alone, the same all the time."""

    def groups(self, names: Sequence[str], moment: Moment) -> list[bool]:
        """Any of them: which ones only the network's own names tell."""
        return [True] * len(names)

    @abstractmethod
    def chosen(self, layout: Layout) -> frozenset[str]:
        """The parameters of the backbone that are trained."""

    def parameters(self, layout: Layout, moment: Moment) -> frozenset[str]:
        return self.chosen(layout)


@dataclass(frozen=True)
class LaterLayers(Chosen):
    """All but the first layers, counted in the order of execution.

    As Keras counts them: convolution, normalisation, activation, addition, concatenation, pooling
    and padding are a layer each (graftwork.models.network.execution).
    """

    frozen_layers: str  # how many stay as they are (140), or what share of them (80%)

    def __post_init__(self) -> None:
        number = self.frozen_layers.strip().removesuffix("%")
        if not number.strip().isdecimal() or ("%" in self.frozen_layers and int(number) > 100):
            raise UserError(
                f"frozen_layers: '{self.frozen_layers}' is no number of layers. Legal: 0 or more "
                "(140), or a share of all of them, 0% to 100%."
            )

    @property
    def names_groups(self) -> bool:
        return True

    def count(self, layout: Layout) -> int:
        """How many layers are frozen.

        Raises:
            UserError: more than the backbone has.
        """
        total = len(layout.executed)
        number = int(self.frozen_layers.strip().removesuffix("%"))
        if "%" in self.frozen_layers:
            return number * total // 100
        if number > total:
            ends = ", ".join(f"{name} ends at {end}" for name, end in _ends(layout))
            raise UserError(
                f"transfer.trainable.frozen_layers: {number} is out of bounds. Legal: 0 to "
                f"{total}, in the order of execution ({ends})."
            )
        return number

    def chosen(self, layout: Layout) -> frozenset[str]:
        return frozenset(layout.parameters) - layout.within(self.count(layout))

    def notes(self, layout: Layout) -> list[str]:
        """What the count comes to by layer group."""
        count, places = self.count(layout), layout.places
        shares = (
            f"{name} {places[:count].count(at)} of {places.count(at)}"
            for at, name in enumerate(layout.names)
        )
        return [
            f"The first {count} of {len(places)} layers in the order of execution are frozen: "
            f"{', '.join(shares)}."
        ]


def _ends(layout: Layout) -> list[tuple[str, int]]:
    """Each layer group, and how many layers there are up to its last one."""
    places = layout.places
    last = {at: number for number, at in enumerate(places, 1)}
    return [(name, last[at]) for at, name in enumerate(layout.names) if at in last]


@dataclass(frozen=True)
class Matching(Chosen):
    """Parameters whose names match a pattern.

    A pattern is the name of a parameter or of a module (`layer4`: all that it holds), either with
    wildcards (`layer4.*.bn?`), or a regular expression between slashes (`/attn.*bias$/`), of which
    a part of the name has to match.
    """

    patterns: list[str]

    def __post_init__(self) -> None:
        check_range("patterns: how many", len(self.patterns), 1)
        for pattern in self.patterns:
            try:
                re.compile(_expression(pattern) or "")
            except re.error as error:
                raise UserError(
                    f"patterns: '{pattern}' is no regular expression: {error}."
                ) from None

    @property
    def names_groups(self) -> bool:
        return True

    def chosen(self, layout: Layout) -> frozenset[str]:
        """Raises UserError for a pattern that matches nothing."""
        return frozenset[str]().union(*(self._matched(p, layout) for p in self.patterns))

    def asked(self, layout: Layout, epochs: int) -> dict[str, frozenset[str]]:
        return {
            f"transfer.trainable.patterns: '{pattern}'": frozenset(self._matched(pattern, layout))
            for pattern in self.patterns
        }

    def _matched(self, pattern: str, layout: Layout) -> set[str]:
        """What one pattern matches."""
        names = [name.removeprefix(BACKBONE) for name in layout.parameters]
        found = {f"{BACKBONE}{name}" for name in names if _matches(pattern, name)}
        if not found:
            nearest = nearest_first(pattern, {path for name in names for path in _paths(name)})
            remedy = f"(The nearest of {len(names)} parameters and the modules that hold them.)"
            raise unknown("transfer.trainable.patterns", pattern, nearest[:NEAREST], remedy)
        return found


def _expression(pattern: str) -> str | None:
    """The regular expression that a pattern is; None: it has wildcards, or nothing special."""
    between = len(pattern) > 1 and pattern.startswith("/") and pattern.endswith("/")
    return pattern[1:-1] if between else None


def _matches(pattern: str, name: str) -> bool:
    expression = _expression(pattern)
    if expression is not None:
        return re.search(expression, name) is not None
    return any(fnmatchcase(path, pattern) for path in _paths(name))


def _paths(name: str) -> Iterable[str]:
    """The parameter's name, and the names of the modules around it."""
    parts = name.split(".")
    return (".".join(parts[:depth]) for depth in range(len(parts), 0, -1))


@dataclass(frozen=True)
class NormOnly(Chosen):
    """Scales and shifts of normalisation, of whatever kind (Frankle et al. 2021)."""

    def chosen(self, layout: Layout) -> frozenset[str]:
        return layout.norms & frozenset(layout.parameters)

    def notes(self, layout: Layout) -> list[str]:
        none = not self.chosen(layout)
        return ["This network has no normalisation: the head alone is trained."] if none else []


@dataclass(frozen=True)
class BiasOnly(Chosen):
    """Biases, those of normalisation among them (BitFit, Ben Zaken et al. 2022)."""

    def chosen(self, layout: Layout) -> frozenset[str]:
        return frozenset(name for name in layout.parameters if _is_bias(name))

    def notes(self, layout: Layout) -> list[str]:
        none = not self.chosen(layout)
        return ["This network has no biases: the head alone is trained."] if none else []


def _is_bias(name: str) -> bool:
    """`bias`, and the biases of queries, keys and values that some attention keeps apart."""
    return name.rpartition(".")[2] in ("bias", "q_bias", "k_bias", "v_bias")
