"""What the adviser says: everything that is printed, drawn and recorded."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from graftwork.advising.levelled import Expected
from graftwork.advising.rankings import Agreement
from graftwork.advising.rules import Standing, Way, is_believed
from graftwork.reporting.numbers import duration, number, percent


@dataclass(frozen=True)
class Row:
    """One way that was tried."""

    way: Way
    score: float  # levelled, see graftwork.advising.levelled
    seconds: float  # all stages
    latency: float  # ms a photo
    told: str  # recommended, runner-up, or why it was ruled out
    whole: bool  # a probe, or a training of all epochs


@dataclass(frozen=True)
class Null:
    """A model without a network."""

    name: str
    score: float
    is_beaten: bool  # by the best probe, beyond what chance explains


@dataclass(frozen=True)
class Advice:
    """All of it."""

    about: str  # the data, in a few words
    command: str
    chosen: Standing
    latency: float  # ms a photo
    expected: Expected
    judged: str  # on which pictures, and how
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
        expected, chosen = self.expected, self.chosen
        latency = f"{self.latency:.1f} ms" if self.latency == self.latency else "not measured"
        said = [
            f"Take {chosen.way}.",
            f"On new photos expect {percent(expected.value)} to be recognised "
            f"({percent(expected.low)} to {percent(expected.high)}; {self.judged}).",
            f"It took {duration(chosen.seconds)} here; a photo, alone: {latency}.",
        ]
        if expected.luck > 0.0005:
            said[1] += f" {100 * expected.luck:.1f} points of its score are taken for luck."
        if self.runner_up is not None:
            other = self.runner_up
            what = f"{100 * other.behind:+.1f} points behind the best"
            error = f"standard error {100 * other.error:.1f}"
            said.append(f"Runner-up: {other.way}, {what} ({error}), {duration(other.seconds)}.")
        if unbeaten := [null.name for null in self.nulls if not null.is_beaten]:
            said.append(
                f"Beware: no probe is clearly better than {' and '.join(unbeaten)}. Look at what "
                "tells these photos apart before anything is trained."
            )
        return [*said, *self.time]

    def about_nulls(self) -> list[str]:
        return [f"{null.name}: {percent(null.score)}" for null in self.nulls]

    def about_rankings(self) -> list[str]:
        """Whether what could have been said before agrees with what was measured."""
        if not self.rankings:
            return ["Too few networks were measured to hold rankings against them."]
        return [
            f"{one.ranking}: weighted tau {one.tau:+.2f} ({one.low:+.2f} to {one.high:+.2f}) over "
            f"{number(one.count)}"
            + ("" if is_believed(one.low) else "; not to be believed on this data")
            for one in self.rankings
        ]
