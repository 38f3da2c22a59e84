"""From what was measured to the advice."""

from __future__ import annotations

import math
import shlex
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from graftwork.advising import rules
from graftwork.advising.advice import Advice, Null, Row
from graftwork.advising.levelled import Footing, behind, expected
from graftwork.advising.rankings import LEAST, Agreement, agreements
from graftwork.advising.rules import PROBE, Standing, Training, Way, order, rung
from graftwork.reporting.numbers import duration
from graftwork.storage.artifacts import Artifacts
from pipelines.advice_candidates import Asked, elsewhere, on_imagenet
from pipelines.advice_jobs import Desk, Measured, forecast
from pipelines.advice_looks import Look

NAMED = 3  # networks elsewhere


@dataclass
class Found:
    """What was measured, and what was seen besides."""

    desk: Desk
    probes: list[Measured]
    epochs: dict[str, int]  # of each strategy
    shared: pd.DataFrame  # see `on_shared_folds`
    seen: Look = field(default_factory=Look)

    @property
    def probed(self) -> dict[Way, float]:
        """The probes' scores on shared folds."""
        ways = (one.training.way for one in self.probes)
        return dict(zip(ways, self.shared.mean().to_list(), strict=True))

    @property
    def leader(self) -> Measured:
        """The best probe."""
        return max(self.probes, key=lambda one: self.probed[one.training.way])

    def footing(self, done: Sequence[Measured]) -> Footing:
        """These ways, on one."""
        places = [list(self.probed).index(one.training.way.by(PROBE)) for one in done]
        own = [_right(self.probes[place]) for place in places]
        gains = [_right(one) - probe for one, probe in zip(done, own, strict=True)]
        gain = [row.reindex(self.shared.index).to_numpy() for row in gains]
        return Footing(self.shared.to_numpy().T[places], np.stack(gain))

    def scores(self) -> dict[Training, float]:
        """Of everything that can be compared."""
        scores = self.footing(list(self.desk.done.values())).scores()
        pairs = zip(self.desk.done, map(float, scores), strict=True)
        return {training: score for training, score in pairs if math.isfinite(score)}

    def is_whole(self, training: Training) -> bool:
        return not training.epochs or training.epochs == self.epochs[training.way.strategy]

    def untried(self) -> list[Training]:
        """Whole trainings that were not done and did not fail, the most promising first."""
        ways = order(
            list(self.probed.items()), [name for name, epochs in self.epochs.items() if epochs]
        )
        found = (Training(way, self.epochs[way.strategy]) for way in ways)
        return [one for one in found if one not in self.desk.done and one not in self.desk.failed]

    def forecast(self, training: Training) -> float:
        """Seconds."""
        pair = training.way.by(PROBE)
        probe = next((one for one in self.probes if one.training.way == pair), self.leader)
        refit = probe.refit if self.is_whole(training) else 0
        return forecast(training, probe, self.desk.done.values(), refit)


def _right(one: Measured) -> pd.Series:
    """Which held-out pictures it recognised, by sha256."""
    said = pd.read_parquet(one.artifacts.held_out, columns=["sha256", "class", "predicted"])
    return (said["class"] == said["predicted"]).astype(np.float64).set_axis(said["sha256"])


def told(wanted: Asked, found: Found) -> Advice:
    """The advice."""
    known = found.scores()
    done = [one for training, one in found.desk.done.items() if training in known]
    footing = found.footing(done)
    scores, drawn = footing.scores(), footing.drawn(0)
    whole = [row for row, one in enumerate(done) if found.is_whole(one.training)]
    best = max(whole, key=lambda row: float(scores[row]))
    standings = {
        row: Standing(done[row].training.way, float(scores[row]),
                      *behind(scores, drawn, best, row), done[row].job.seconds)
        for row in whole
    }  # fmt: skip
    chosen, runner_up = rules.choice(list(standings.values()))
    at = next(row for row in whole if standings[row] is chosen)
    way, job = chosen.way, done[at].job
    command = [*wanted.common, f"model={way.network}", f"model.input_size={way.size}"]
    command = ["python", "-m", "pipelines.experiment", *command, f"transfer={way.strategy}"]
    ranked, rankings = _rankings(found)
    rows = [
        Row(one.training.way, float(scores[row]), one.job.seconds, one.latency,
            _became(found, one, standings.get(row), chosen, runner_up), row in standings)
        for row, one in enumerate(done)
    ]  # fmt: skip
    return Advice(
        about=found.leader.experiment.dataset.name,
        command=shlex.join(command),
        chosen=chosen,
        latency=done[at].latency,
        expected=expected(scores[whole], drawn[:, whole], whole.index(at)),
        judged=f"selection={job.method}, {job.held_out} held-out photos",
        runner_up=runner_up,
        rows=sorted(rows, key=lambda row: -row.score),
        nulls=_nulls(found, footing, at),
        data=found.seen.data,
        measured=ranked,
        rankings=rankings,
        changes=_changes(found),
        time=_time(found),
    )


def _became(
    found: Found,
    one: Measured,
    standing: Standing | None,
    chosen: Standing,
    runner_up: Standing | None,
) -> str:
    if standing is None:
        lost = one.training.way in [training.way for training in found.untried()]
        return f"{one.training.epochs} epochs: {'not promoted, or no time' * lost or 'promoted'}"
    if standing is chosen:
        return "recommended"
    return "runner-up: " * (standing is runner_up) + rules.why_not(standing, chosen)


def _nulls(found: Found, footing: Footing, at: int) -> list[Null]:
    """Beside what is recommended, the row `at`, in folds of the best probe."""
    own, told_by = _right(found.leader), found.shared.index
    level = found.shared[found.probes.index(found.leader)].to_numpy()
    nulls = []
    for name, right in found.seen.nulls.items():
        gain = (right - own).reindex(told_by).to_numpy()
        both = Footing(np.stack([footing.level[at], level]), np.stack([footing.gain[at], gain]))
        scores = both.scores()
        beaten = rules.is_beyond(*behind(scores, both.drawn(0), 0, 1))
        nulls.append(Null(name, float(scores[1]), beaten))
    return nulls


def _rankings(found: Found) -> tuple[str, list[Agreement]]:
    """Against short trainings of the first strategy that has enough of them, else the probes."""
    trained = (found.desk.of(name, rung(epochs)) for name, epochs in found.epochs.items() if epochs)
    short = next((some for some in trained if len(some) >= LEAST), [])
    done = short or found.probes
    places = [list(found.probed).index(one.training.way.by(PROBE)) for one in done]
    imagenet = on_imagenet([way.network for way in found.probed])
    named = {
        "LogME": found.seen.logme,
        **({"probe": list(found.probed.values())} if short else {}),
        "ImageNet accuracy": [imagenet.get(way.network, math.nan) for way in found.probed],
        "parameters": [float(one.job.parameters or "nan") for one in found.probes],
    }
    rankings = {
        name: np.array([_at(values, place) for place in places]) for name, values in named.items()
    }
    footing = found.footing(done)
    agreed = agreements(rankings, footing.scores(), footing.drawn(0), 0)
    return "short trainings" if short else "probes", agreed


def _at(values: Sequence[float], place: int) -> float:
    return values[place] if place < len(values) else math.nan


def _changes(found: Found) -> list[str]:
    """What would change its mind."""
    said, untried = [], found.untried()
    if untried:
        said.append(
            f"More minutes: {len(untried)} ways were not trained whole; the next, "
            f"{untried[0].way}, would take about {duration(found.forecast(untried[0]))}. The same "
            "command with a larger budget goes on from here."
        )
    if skipped := found.desk.skipped:
        said.append(f"For want of time not even probed: {', '.join(map(str, skipped))}.")
    if more := found.seen.more:
        said.append(
            f"More labels: twice as many are expected to bring {100 * more.value:+.1f} points "
            f"({100 * more.low:+.1f} to {100 * more.high:+.1f}; a power law through the probe's "
            "learning curve)."
        )
    here = on_imagenet([way.network for way in found.probed])
    best = max(here.values(), default=0.0)
    others = elsewhere(Artifacts.at(found.desk.folder, found.desk.shared)).items()
    if better := [(word, score) for word, score in others if score > best][:NAMED]:
        names = ", ".join(f"{word} ({score:.1f} %)" for word, score in better)
        said.append(
            f"Another network: of those whose weights are not here, best on ImageNet are {names}; "
            f"the best here has {best:.1f} %. model={','.join(word for word, _ in better)} tries "
            "them."
        )
    return [*said, *(f"{job.way} failed: {why}" for job, why in found.desk.failed.items())]


def _time(found: Found) -> list[str]:
    """How the budget was kept."""
    clock, untried = found.desk.clock, found.untried()
    said = [f"All of it took {duration(clock.spent)} of {duration(clock.budget)}."]
    trained = any(job.epochs and found.is_whole(job) for job in found.desk.done)
    if untried and not trained:
        said.append(
            f"That was too little for a training through the network: one ({untried[0].way}) is "
            f"forecast to take {duration(found.forecast(untried[0]))}. So this stays with what "
            "probes say."
        )
    return said
