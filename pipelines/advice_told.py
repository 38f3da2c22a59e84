"""From what was measured to the advice."""

from __future__ import annotations

import math
import shlex
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from graftwork.advising import rules
from graftwork.advising.advice import Advice, Null, Row
from graftwork.advising.levelled import behind, expected, levelled
from graftwork.advising.rankings import LEAST, Agreement, agreements
from graftwork.advising.rules import PROBE, Standing, Training, order, rung
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
    seen: Look = field(default_factory=Look)

    @property
    def leader(self) -> Measured:
        """The best probe: what the others are compared with."""
        return max(self.probes, key=lambda one: one.score)

    def scores(self) -> dict[Training, float]:
        """Of everything that can be compared with the leader, on one footing."""
        done, right, _ = answers(self.leader, self.desk.done.values())
        pairs = zip(done, map(float, levelled(right, 0)), strict=True)
        return {one.training: score for one, score in pairs if math.isfinite(score)}

    def is_whole(self, training: Training) -> bool:
        return not training.epochs or training.epochs == self.epochs[training.way.strategy]

    def untried(self) -> list[Training]:
        """Whole trainings that were not done and did not fail, the most promising first."""
        probes = [(one.training.way, one.score) for one in self.probes]
        ways = order(probes, [name for name, epochs in self.epochs.items() if epochs])
        found = (Training(way, self.epochs[way.strategy]) for way in ways)
        return [one for one in found if one not in self.desk.done and one not in self.desk.failed]

    def forecast(self, training: Training) -> float:
        """Seconds."""
        pair = training.way.by(PROBE)
        probe = next((one for one in self.probes if one.training.way == pair), self.leader)
        refit = probe.refit if self.is_whole(training) else 0
        return forecast(training, probe, self.desk.done.values(), refit)


def answers(
    first: Measured, others: Iterable[Measured]
) -> tuple[list[Measured], np.ndarray, pd.DataFrame]:
    """All of them, and who recognised which held-out picture: 1, 0 or NaN, `[ways, pictures]`, and
    the same by sha256."""
    done = [first, *(one for one in others if one is not first)]
    columns = []
    for one in done:
        said = pd.read_parquet(one.artifacts.held_out, columns=["sha256", "class", "predicted"])
        right = (said["class"] == said["predicted"]).astype(np.float64)
        columns.append(right.set_axis(said["sha256"]))
    table = pd.concat(columns, axis=1)
    return done, table.to_numpy().T, table


def told(wanted: Asked, found: Found) -> Advice:
    """The advice."""
    scores = found.scores()
    comparable = [one for one in found.desk.done.values() if one.training in scores]
    done, right, table = answers(found.leader, comparable)
    whole = [row for row, one in enumerate(done) if found.is_whole(one.training)]
    best = max(whole, key=lambda row: scores[done[row].training])
    standings = {
        row: _standing(done[row], scores[done[row].training], *behind(right, best, row))
        for row in whole
    }
    chosen, runner_up = rules.choice(list(standings.values()))
    at = next(row for row in whole if standings[row] is chosen)
    way, job = chosen.way, done[at].job
    command = [*wanted.common, f"model={way.network}", f"model.input_size={way.size}"]
    command = ["python", "-m", "pipelines.experiment", *command, f"transfer={way.strategy}"]
    ranked, rankings = _rankings(found)
    rows = [
        Row(one.training.way, scores[one.training], one.job.seconds, one.latency,
            _became(one, standings.get(row), chosen, runner_up), row in standings)
        for row, one in enumerate(done)
    ]  # fmt: skip
    return Advice(
        about=found.leader.experiment.dataset.name,
        command=shlex.join(command),
        chosen=chosen,
        latency=done[at].latency,
        expected=expected(right[whole], whole.index(0), whole.index(at), 0),
        judged=f"selection={job.method}, {job.held_out} held-out photos",
        runner_up=runner_up,
        rows=sorted(rows, key=lambda row: -row.score),
        nulls=[_null(*pair, table.iloc[:, at]) for pair in found.seen.nulls.items()],
        data=found.seen.data,
        measured=ranked,
        rankings=rankings,
        changes=_changes(found),
        time=_time(found),
    )


def _standing(one: Measured, score: float, gap: float, error: float) -> Standing:
    if not math.isfinite(gap):  # no pictures in common with the best: it cannot be chosen
        gap, error = 1.0, 0.0
    return Standing(one.training.way, score, gap, error, one.job.seconds)


def _became(
    one: Measured, standing: Standing | None, chosen: Standing, runner_up: Standing | None
) -> str:
    if standing is None:
        return f"{one.training.epochs} epochs only: not promoted, or no time"
    if standing is chosen:
        return "recommended"
    return "runner-up: " * (standing is runner_up) + rules.why_not(standing, chosen)


def _null(name: str, right: pd.Series, chosen: pd.Series) -> Null:
    both = np.stack([chosen.reindex(right.index), right]).astype(np.float64)
    return Null(name, float(right.mean()), rules.is_beyond(*behind(both, 0, 1)))


def _rankings(found: Found) -> tuple[str, list[Agreement]]:
    """Against short trainings of the first strategy that has enough of them, else the probes."""
    trained = (found.desk.of(name, rung(epochs)) for name, epochs in found.epochs.items() if epochs)
    short = next((some for some in trained if len(some) >= LEAST), [])
    done, right, _ = answers(found.leader, short or found.probes)
    known = {one.training.way: place for place, one in enumerate(found.probes)}
    imagenet = on_imagenet([one.training.way.network for one in found.probes])
    named = {
        "LogME": found.seen.logme,
        **({"probe": [one.score for one in found.probes]} if short else {}),
        "ImageNet accuracy": [imagenet.get(w.network, math.nan) for w in known],
        "parameters": [float(one.job.parameters or "nan") for one in found.probes],
    }
    rankings = {
        name: np.array([_at(values, known.get(one.training.way.by(PROBE))) for one in done])
        for name, values in named.items()
    }
    if short:  # the leading probe is what they are compared with, and none of them
        rankings = {name: np.r_[math.nan, values[1:]] for name, values in rankings.items()}
    return "short trainings" if short else "probes", agreements(rankings, right, 0, 0)


def _at(values: Sequence[float], place: int | None) -> float:
    return math.nan if place is None or place >= len(values) else values[place]


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
    here = on_imagenet([one.training.way.network for one in found.probes])
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
