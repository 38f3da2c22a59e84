"""One comparison: which runs, along which costs; told as sentences."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from graftwork.config.errors import UserError, unknown
from graftwork.pareto.axes import SIDE_BY_SIDE, Axis, axis_of
from graftwork.pareto.candidates import SELECTION, TEST, Score
from graftwork.pareto.frontier import Candidate, Compared, Measured, by_data, compare
from graftwork.reporting.leads import unpaired_words

SHORT = 8  # characters of a digest


@dataclass(frozen=True)
class Comparison:
    """Runs on one data set, along several costs."""

    score: Score
    runs: list[Candidate]  # the best first
    along: list[tuple[Axis, Compared]]
    others: list[list[Candidate]]  # on other data: not compared
    unscored: int  # runs that lack the score
    absent: list[Axis]  # costs that would have been shown, had a run recorded them
    level: list[Axis]  # costs that would have been shown, did they differ

    @property
    def title(self) -> str:
        held_out = "held-out pictures of " if self.score.on == SELECTION else ""
        return f"{self.score.label} on {held_out}{described(self.runs, self.score)}"

    def on_frontier(self, run: Candidate) -> list[str]:
        """The costs along which nothing dominates this run."""
        return [axis.word for axis, compared in self.along if run in compared.members]

    def sentences(self) -> list[str]:
        """What the picture does not show."""
        found = []
        for axis, compared in self.along:
            if compared.missing:
                found.append(
                    f"{_runs(len(compared.missing))} of {len(self.runs)} without {axis.word} "
                    "recorded: left out along it."
                )
        if self.absent:
            words = ", ".join(axis.word for axis in self.absent)
            found.append(f"No run has recorded: {words}.")
        if self.level:
            words = ", ".join(axis.word for axis in self.level)
            found.append(f"The same for all runs: {words}.")
        pictures = "other data" if self.score.on == SELECTION else "other test pictures"
        found += [
            f"{_runs(len(group))} on {described(group, self.score)} not compared: {pictures}. "
            f"Choose with --data {_choice(group)}."
            for group in self.others
        ]
        return found + self._unequal()

    def _unequal(self) -> list[str]:
        found = []
        if self.unscored:
            what = "selection" if self.score.on == SELECTION else "test"
            found.append(f"{_runs(self.unscored)} without a {what} score: left out.")
        methods = Counter(run.method or "unknown" for run in self.runs)
        if self.score.on == SELECTION and len(methods) > 1:
            words = ", ".join(f"{name} ({count})" for name, count in sorted(methods.items()))
            found.append(
                f"Held-out pictures were chosen by different methods: {words}. Scores on different "
                "pictures differ for that alone."
            )
        return found

    def cautions(self) -> list[str]:
        """What must not be read out of the scores."""
        found = []
        if self.score.on == TEST:
            found.append(
                "A frontier of test scores chooses on the test set: what is on it owes its score "
                "in part to these very pictures. --on selection chooses on held-out ones."
            )
        if self.score.on == SELECTION:
            found.append(self._luck("selection score", self.runs))
        if any(axis.word in run.doubtful for axis, _ in self.along for run in self.runs):
            found.append(
                "○: other programs kept the machine busy while latency and energy were measured; "
                "they may be too high. Evaluated again on a quiet machine, they are measured anew."
            )
        found.append(self._luck("test score", [run.test for run in self.runs if run.test]))
        return [sentence for sentence in found if sentence]

    def _luck(self, what: str, scores: Sequence[Candidate | Measured]) -> str:
        ends = [(score.low, score.high) for score in scores]
        confidence, is_share = self.score.confidence, self.score.is_share
        return unpaired_words(what, ends, confidence, is_share=is_share)


def comparison(
    candidates: Sequence[Candidate],
    score: Score,
    words: Sequence[str],
    data: str | None,
    unscored: int,
) -> Comparison:
    """Compares the runs of one data set.

    Args:
        candidates: with this score.
        score: what it is.
        words: costs; those of SIDE_BY_SIDE that are recorded if empty.
        data: beginning of a digest, or a data set's name; None for the data with most runs.
        unscored: runs that lack the score, of which there is a word.

    Raises:
        UserError: no run, an unknown cost, one that no run has, or unknown data.
    """
    if not candidates:
        raise UserError("No finished run has this score: nothing to compare.")
    groups = by_data(candidates)
    chosen = groups[0] if data is None else _group(groups, data)
    recorded = {word for candidate in chosen for word in candidate.costs}
    axes = [axis_of(word, recorded) for word in words or SIDE_BY_SIDE]
    axes = list({axis.word: axis for axis in axes}.values())
    absent = [axis for axis in axes if axis.word not in recorded]
    if absent and (words or len(absent) == len(axes)):
        raise UserError(
            f"--cost: none of {_runs(len(chosen))} on {described(chosen, score)} has recorded "
            f"'{absent[0].word}'. Recorded: {', '.join(sorted(recorded)) or 'no cost'}."
        )
    known = [axis for axis in axes if axis not in absent]
    level = [] if words else [axis for axis in known if _is_level(chosen, axis)]
    higher = score.higher_is_better
    sign = 1 if higher else -1
    return Comparison(
        score,
        sorted(chosen, key=lambda run: -sign * run.value),
        [
            (axis, compare(chosen, axis.word, higher_is_better=higher))
            for axis in known
            if axis not in level
        ],
        [group for group in groups if group is not chosen],
        unscored,
        absent,
        level,
    )


def _is_level(runs: Sequence[Candidate], axis: Axis) -> bool:
    """Whether several runs cost the same: their picture would be a column."""
    found = [run.costs[axis.word] for run in runs if axis.word in run.costs]
    return len(found) > 1 and len(set(found)) == 1


def _group(groups: Sequence[list[Candidate]], data: str) -> list[Candidate]:
    for group in groups:
        if group[0].data.startswith(data) or data in {run.dataset for run in group}:
            return group
    raise unknown("--data", data, [_choice(group) for group in groups])


def described(group: Sequence[Candidate], score: Score) -> str:
    """What the runs of a group were measured on, in words."""
    names = ", ".join(sorted({run.dataset for run in group}))
    what = "data" if score.on == SELECTION else "test set"
    return f"{names} ({what} {group[0].data[:SHORT] or 'unknown'})"


def _choice(group: Sequence[Candidate]) -> str:
    return group[0].data[:SHORT] or group[0].dataset


def _runs(count: int) -> str:
    return f"{count} run" if count == 1 else f"{count} runs"
