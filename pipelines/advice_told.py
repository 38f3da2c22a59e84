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
from graftwork.advising.levelled import behind, expected, levelled
from graftwork.advising.rankings import Agreement, agreements
from graftwork.advising.rules import PROBE, Standing, Training, order
from graftwork.profiling.imagenet import accuracy_of
from graftwork.reporting.numbers import duration
from graftwork.storage.artifacts import Artifacts
from pipelines.advice_candidates import Asked, elsewhere
from pipelines.advice_jobs import Desk, Measured, forecast
from pipelines.advice_looks import Look, look

NAMED = 3  # networks elsewhere


@dataclass
class Found:
    """What was measured, and what was seen besides."""

    desk: Desk
    probes: list[Measured]
    leader: Measured  # the best of them
    epochs: dict[str, int]  # of each strategy
    seen: Look = field(default_factory=Look)

    @classmethod
    def of(cls, desk: Desk, wanted: Asked, probes: list[Measured]) -> Found:
        leader = max(probes, key=lambda one: one.score)
        way = leader.training.way
        epochs = {name: desk.compose(way.by(name))[0].transfer.epochs for name in wanted.strategies}
        return cls(desk, probes, leader, epochs)

    def look(self) -> None:
        """At the photos, and at what ranks networks before they are trained."""
        look(self.seen, self.leader, self.probes, self.desk.clock)

    def scores(self) -> list[tuple[Measured, float]]:
        """Of everything, on one footing; NaN where nothing can be compared."""
        done = [self.leader, *(one for one in self.desk.done.values() if one is not self.leader)]
        right, _ = answers(done)
        return list(zip(done, map(float, levelled(right, 0)), strict=True))

    def forecast(self, training: Training) -> float:
        """Seconds."""
        pair = training.way.by(PROBE)
        probe = next((one for one in self.probes if one.training.way == pair), self.leader)
        trainer = probe.experiment.trainer
        is_whole = training.epochs == self.epochs[training.way.strategy]
        refit = trainer.refit_epochs if is_whole and trainer.refit != "never" else 0
        return forecast(training, probe, self.desk.done.values(), refit)


def answers(done: Sequence[Measured]) -> tuple[np.ndarray, pd.DataFrame]:
    """Which held-out pictures each recognised, `[ways, pictures]`: 1, 0 or NaN; and by sha256."""
    columns = []
    for one in done:
        table = pd.read_parquet(one.artifacts.held_out, columns=["sha256", "class", "predicted"])
        right = (table["class"] == table["predicted"]).astype(np.float64)
        columns.append(right.set_axis(table["sha256"]))
    table = pd.concat(columns, axis=1)
    return table.to_numpy().T, table


def told(desk: Desk, wanted: Asked, found: Found) -> Advice:
    """The advice."""
    done = [one for one, score in found.scores() if math.isfinite(score)]
    right, table = answers(done)
    scores = levelled(right, 0)
    whole = [row for row, one in enumerate(done) if _is_whole(one, found)]
    best = max(whole, key=lambda row: float(scores[row]))
    standings = {row: _standing(done[row], right, scores, best, row) for row in whole}
    chosen, runner_up = rules.choice(list(standings.values()))
    row = next(row for row in whole if standings[row] is chosen)
    part = whole.index(row)
    way, seed = chosen.way, found.leader.experiment.seed
    command = [*wanted.common, f"model={way.network}", f"model.input_size={way.size}"]
    trained = [one for one in done if one.training.epochs]
    return Advice(
        about=found.leader.experiment.dataset.name,
        command=shlex.join(["python", "-m", "pipelines.experiment", *command,
                            f"transfer={way.strategy}"]),
        chosen=chosen,
        latency=done[row].latency,
        expected=expected(right[whole], whole.index(0), part, seed),
        judged=f"selection={done[row].job.method}, {done[row].job.held_out} held-out photos",
        runner_up=runner_up,
        rows=_rows(done, scores, standings, chosen, runner_up),
        nulls=_nulls(found.seen, table),
        data=found.seen.data,
        measured="short trainings" if _ranked(found) else "probes",
        rankings=_rankings(found),
        changes=_changes(desk, found, trained),
        time=_time(desk, found, trained),
    )  # fmt: skip


def _is_whole(one: Measured, found: Found) -> bool:
    training = one.training
    return not training.epochs or training.epochs == found.epochs[training.way.strategy]


def _standing(
    one: Measured, right: np.ndarray, scores: np.ndarray, best: int, row: int
) -> Standing:
    gap, error = behind(right, best, row)
    if not math.isfinite(gap):  # no picture in common: only the footing compares them
        gap, error = float(scores[best] - scores[row]), 0.0
    return Standing(one.training.way, float(scores[row]), gap, error, one.job.seconds)


def _rows(
    done: Sequence[Measured],
    scores: np.ndarray,
    standings: dict[int, Standing],
    chosen: Standing,
    runner_up: Standing | None,
) -> list[Row]:
    found = []
    for row, one in enumerate(done):
        standing = standings.get(row)
        if standing is None:
            words = f"{one.training.epochs} epochs only: not promoted, or no time"
        elif standing is chosen:
            words = "recommended"
        else:
            words = rules.why_not(standing, chosen)
            words = f"runner-up: {words}" if standing is runner_up else words
        found.append(
            Row(one.training.way, float(scores[row]), one.job.seconds, one.latency, words,
                standing is not None)
        )  # fmt: skip
    return sorted(found, key=lambda one: -one.score)


def _nulls(seen: Look, table: pd.DataFrame) -> list[Null]:
    """Against the best probe, which is the table's first column."""
    probe = table.iloc[:, 0].dropna()
    found = []
    for name, right in seen.nulls.items():
        ahead, error = behind(
            np.stack([probe.reindex(right.index).to_numpy(), right.to_numpy(np.float64)]), 0, 1
        )
        found.append(Null(name, float(right.mean()), rules.is_beyond(ahead, error)))
    return found


def _ranked(found: Found) -> list[Measured]:
    """Short trainings of the strategy that most networks were trained by, if that are enough."""
    from graftwork.advising.rankings import LEAST

    for strategy, epochs in found.epochs.items():
        short = found.desk.of(strategy, rules.rung(epochs)) if epochs else []
        if len(short) >= LEAST:
            return short
    return []


def _rankings(found: Found) -> list[Agreement]:
    short = _ranked(found)
    measured = short or found.probes
    known = {one.training.way: place for place, one in enumerate(found.probes)}
    places = [known.get(one.training.way.by(PROBE)) for one in measured]
    right, _ = answers([found.leader, *measured])

    def ranking(values: Sequence[float]) -> np.ndarray:
        nothing = float("nan")
        return np.array([nothing, *(nothing if at is None else values[at] for at in places)])

    imagenet = [accuracy_of(one.experiment.model) for one in found.probes]
    named = {
        "LogME": ranking([*found.seen.logme, *[float("nan")] * len(found.probes)]),
        "probe": ranking([one.score for one in found.probes]),
        "ImageNet accuracy": ranking([one.top1 if one else float("nan") for one in imagenet]),
        "parameters": ranking([float(one.job.parameters or "nan") for one in found.probes]),
    }
    if not short:
        del named["probe"]
    return agreements(named, right, 0, found.leader.experiment.seed)


def _changes(desk: Desk, found: Found, trained: Sequence[Measured]) -> list[str]:
    """What would change its mind."""
    said = []
    probes = [(one.training.way, one.score) for one in found.probes]
    strategies = [name for name, epochs in found.epochs.items() if epochs]
    tried = {one.training.way for one in trained if _is_whole(one, found)}
    ways = [way for way in order(probes, strategies) if way not in tried]
    if ways:
        seconds = found.forecast(Training(ways[0], found.epochs[ways[0].strategy]))
        said.append(
            f"More minutes: {len(ways)} of {len(ways) + len(tried)} ways were not trained whole; "
            f"the next, {ways[0]}, would take about {duration(seconds)}. The same command with a "
            "larger budget goes on from here."
        )
    if more := found.seen.more:
        said.append(
            f"More labels: twice as many are expected to bring {100 * more.value:+.1f} points "
            f"({100 * more.low:+.1f} to {100 * more.high:+.1f}; a power law through the probe's "
            "learning curve)."
        )
    return [*said, *_others(desk, found), *_failures(desk)]


def _others(desk: Desk, found: Found) -> list[str]:
    known = (accuracy_of(one.experiment.model) for one in found.probes)
    best = max((one.top1 for one in known if one), default=0.0)
    better = [one for one in elsewhere(Artifacts.at(desk.folder, desk.shared))
              if one.imagenet > best][:NAMED]  # fmt: skip
    if not better:
        return []
    names = ", ".join(f"{one.word} ({one.imagenet:.1f} %)" for one in better)
    words = ",".join(one.word for one in better)
    return [
        f"Another network: best on ImageNet of those whose weights are not here are {names}; the "
        f"best here has {best:.1f} %. model={words} asks for them."
    ]


def _failures(desk: Desk) -> list[str]:
    return [f"{training.way} failed: {reason}" for training, reason in desk.failed.items()]


def _time(desk: Desk, found: Found, trained: Sequence[Measured]) -> list[str]:
    took = f"All of it took {duration(desk.clock.spent)} of {duration(desk.clock.budget)}."
    if any(_is_whole(one, found) for one in trained) or not any(found.epochs.values()):
        return [took]
    strategy = next(name for name, epochs in found.epochs.items() if epochs)
    training = Training(found.leader.training.way.by(strategy), found.epochs[strategy])
    return [
        took,
        f"That was too little for a training through the network: one ({training.way}) is forecast "
        f"to take {duration(found.forecast(training))}. So this stays with what probes say.",
    ]
