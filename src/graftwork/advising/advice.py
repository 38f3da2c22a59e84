"""What the adviser says: everything that is printed, drawn and recorded; and its page."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from markupsafe import Markup

from graftwork.advising.rankings import Agreement
from graftwork.advising.rules import Standing, is_believed
from graftwork.reporting.numbers import duration, percent
from graftwork.reporting.pages import render
from graftwork.reporting.scatter import Dot, Ruler, scatter

NAMED = 6  # of the ways that are drawn, the best


@dataclass(frozen=True)
class Row:
    """One way, tried or not."""

    standing: Standing
    measured: float  # levelled, see graftwork.advising.levelled; NaN: not tried
    latency: float  # ms a photo; NaN: not measured
    told: str  # recommended, or by how much it is behind


@dataclass(frozen=True)
class Null:
    """A model without a network."""

    name: str
    score: float
    is_beaten: bool  # by what is recommended, beyond what chance explains


@dataclass(frozen=True)
class Advice:
    """All of it."""

    about: str  # the data, in a word
    command: str
    chosen: Standing
    latency: float  # ms a photo; NaN: not measured
    basis: str  # of what is expected, in words
    runner_up: Standing | None
    rows: Sequence[Row]  # the best first
    nulls: Sequence[Null]
    data: Sequence[str]  # sentences
    measured: str  # what rankings are held against
    rankings: Sequence[Agreement]
    changes: Sequence[str]  # what would change its mind
    time: Sequence[str]  # how the budget was kept

    def sentences(self) -> list[str]:
        """The advice in words, the most wanted first."""
        one, other = self.chosen, self.runner_up
        latency = f"; a photo, alone, {self.latency:.1f} ms" * (self.latency == self.latency)
        took = "It took" if one.tried else "It would take about"
        said = [
            f"Take {one.way}.",
            f"On new photos expect {percent(one.score)} to be recognised "
            f"({percent(one.low)} to {percent(one.high)}; {self.basis}).",
            f"{took} {duration(one.seconds)} here{latency}.",
        ]
        if other is not None:
            said.append(
                f"Runner-up: {other.way}, {100 * other.behind:.1f} points behind the best "
                f"(standard error {100 * other.error:.1f}), {duration(other.seconds)}."
            )
        if unbeaten := [null.name for null in self.nulls if not null.is_beaten]:
            said.append(
                f"Beware: it is not clearly better than {' and '.join(unbeaten)}. Look at what "
                "tells these photos apart."
            )
        return [*said, *self.time]

    def sections(self) -> dict[str, Sequence[str]]:
        """What stands below on the page, by heading."""
        believed = {True: "", False: "; not to be believed on this data"}
        return {
            "What would change its mind": self.changes,
            "The photos": self.data,
            "Without a network": [f"{null.name}: {percent(null.score)}" for null in self.nulls],
            f"Rankings made before, against {self.measured}": [
                f"{one.ranking}: weighted tau {one.tau:+.2f} ({one.low:+.2f} to {one.high:+.2f}) "
                f"over {one.count}{believed[is_believed(one.low)]}"
                for one in self.rankings
            ]
            or ["Too few networks were measured to hold rankings against them."],
        }

    def page(self) -> str:
        """One HTML file that needs nothing but itself."""
        return render("advice.html.jinja", advice=self, picture=self._picture())

    def _picture(self) -> Markup:
        """Accuracy against what it takes to get there."""
        return scatter(
            [self._dot(row, place < NAMED) for place, row in enumerate(self.rows)],
            Ruler("seconds of all stages", "~s"),
            Ruler("top-1 expected on new photos", ".0%"),
            title="Accuracy against time",
            note="Hollow: not tried here; with its band: what is recommended.",
        )

    def _dot(self, row: Row, named: bool) -> Dot:
        one = row.standing
        name = f"{one.way.strategy} {one.way.network} {one.way.size}"
        about = f"{one.way}: {percent(one.score)}, {duration(one.seconds)}"
        found = Dot(one.seconds, one.score, name, about, named=named, hollow=not one.tried)
        if one is not self.chosen:
            return found
        return replace(found, colour="two", low=one.low, high=one.high)
