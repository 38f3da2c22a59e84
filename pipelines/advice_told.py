"""From what was measured to the advice."""

from __future__ import annotations

import math
import shlex
from collections.abc import Mapping, Sequence

import numpy as np

from graftwork.advising import rules
from graftwork.advising.advice import Advice, Null, Row
from graftwork.advising.levelled import Footing, behind
from graftwork.advising.rankings import LEAST, Agreement, agreements
from graftwork.advising.rules import BAND, PROBE, Standing, Way
from graftwork.reporting.numbers import duration, percent
from graftwork.storage.artifacts import Artifacts
from pipelines.advice_candidates import elsewhere, on_imagenet
from pipelines.advice_found import Found, right_by_picture

NAMED = 3  # networks elsewhere


def told(found: Found) -> Advice:
    """The advice."""
    ways, done, beliefs = found.ways, found.desk.done, found.believed()
    best = int(beliefs.mean.argmax())
    standings = [
        Standing(way, beliefs.share(row), beliefs.share(row, -BAND), beliefs.share(row, BAND),
                 *beliefs.behind(best, row), done[way].took if way in done else found.forecast(way),
                 way in done)
        for row, way in enumerate(ways)
    ]  # fmt: skip
    chosen, runner_up = rules.choice(standings)
    command = [*found.wanted.common, f"model={chosen.way.network}"]
    command += [f"model.input_size={chosen.way.size}", f"transfer={chosen.way.strategy}"]
    measured = dict(zip(done, found.footing(list(done.values())).scores(), strict=True))
    rows = [
        Row(one, float(measured.get(one.way, math.nan)),
            done[one.way].latency if one.tried else math.nan, _became(one, chosen, runner_up))
        for one in sorted(standings, key=lambda one: -one.score)
    ]  # fmt: skip
    ranked, rankings = _rankings(found)
    return Advice(
        about=found.leader.experiment.dataset.name,
        command=shlex.join(["python", "-m", "pipelines.experiment", *command]),
        chosen=chosen,
        latency=next(row.latency for row in rows if row.standing is chosen),
        basis=_basis(found, chosen, measured),
        runner_up=runner_up,
        rows=rows,
        nulls=_nulls(found, chosen.way),
        data=found.seen.data,
        measured=ranked,
        rankings=rankings,
        changes=_changes(found),
        time=[
            f"All of it took {duration(found.desk.clock.spent)} of "
            f"{duration(found.desk.clock.budget)}."
        ],
    )


def _basis(found: Found, chosen: Standing, measured: Mapping[Way, float]) -> str:
    """What the expectation is taken from."""
    way, job = chosen.way, found.leader.job
    told_by = f"{job.method}, {found.desk.photos} photos of train and val"
    if chosen.tried:
        return f"measured here ({told_by}), weighed with what ways usually gain"
    probe = next((one for one in found.probes if one.way == way.by(PROBE)), None)
    near = probe or next((p for p in found.probes if p.way.network == way.network), found.leader)
    what = "not trained" if found.epochs[way.strategy] else "not tried"
    return (
        f"{what}: there was no time; expected from {near.way}, which recognises "
        f"{percent(float(measured[near.way]))} of held-out photos here ({told_by}), and from what "
        f"{way.strategy}{f' and {way.size} px' * (near.way.size != way.size)} usually gains"
    )


def _became(one: Standing, chosen: Standing, runner_up: Standing | None) -> str:
    tried = "" if one.tried else ", not trained here"
    if one is chosen:
        return "recommended" + tried
    behind = f"{100 * one.behind:.1f} points behind (standard error {100 * one.error:.1f})"
    return "runner-up: " * (one is runner_up) + behind + tried


def _nulls(found: Found, way: Way) -> list[Null]:
    """Beside what is recommended, or the best probe where that was not tried."""
    own, judged = right_by_picture(found.leader), found.judged
    footing = found.footing([found.desk.done.get(way, found.leader)])
    level = judged.to_numpy()[:, found.probes.index(found.leader)]
    nulls = []
    for name, right in found.seen.nulls.items():
        gain = (right - own).reindex(judged.index).to_numpy()
        both = Footing(np.stack([footing.level[0], level]), np.stack([footing.gain[0], gain]))
        scores = both.scores()
        beaten = rules.is_beyond(*behind(scores, both.drawn(0), 0, 1))
        nulls.append(Null(name, float(scores[1]), beaten))
    return nulls


def _rankings(found: Found) -> tuple[str, list[Agreement]]:
    """Against trainings of the first strategy that has enough of them, else the probes."""
    probes, done = found.probes, found.desk.done.items()
    by_name = ([one for way, one in done if way.strategy == name] for name in found.epochs)
    trained = (some for some in by_name if some and some[0].way.strategy != PROBE)
    whole = next((some for some in trained if len(some) >= LEAST), [])
    named = [one.way for one in probes]
    whole = [one for one in whole if one.way.by(PROBE) in named]
    judged = whole or probes
    places = [named.index(one.way.by(PROBE)) for one in judged]
    imagenet = on_imagenet([way.network for way in named])
    values = {
        "LogME": found.seen.logme,
        **({"probe": found.judged.mean().to_list()} if whole else {}),
        "ImageNet accuracy": [imagenet.get(way.network, math.nan) for way in named],
        "parameters": [float(one.job.parameters or "nan") for one in probes],
    }
    rankings = {
        name: np.array([_at(row, place) for place in places]) for name, row in values.items()
    }
    footing = found.footing(judged)
    agreed = agreements(rankings, footing.scores(), footing.drawn(0), 0)
    return "trainings" if whole else "probes", agreed


def _at(values: Sequence[float], place: int) -> float:
    return values[place] if place < len(values) else math.nan


def _changes(found: Found) -> list[str]:
    """What would change its mind."""
    said, untried = [], [way for way in found.ways if way not in found.desk.done]
    if (way := found.next(untried, math.inf)) is not None:
        said.append(
            f"More minutes: {len(untried)} ways were not tried; the next, {way}, would take about "
            f"{duration(found.forecast(way))}. The same command with a larger budget goes on from "
            "here."
        )
    if more := found.seen.more:
        said.append(
            f"More labels: twice as many are expected to bring {100 * more.value:+.1f} points "
            f"({100 * more.low:+.1f} to {100 * more.high:+.1f}; a power law through the probe's "
            "learning curve)."
        )
    here = on_imagenet([one.way.network for one in found.probes])
    best = max(here.values(), default=0.0)
    others = elsewhere(Artifacts.at(found.desk.folder, found.desk.shared)).items()
    if better := [(word, score) for word, score in others if score > best][:NAMED]:
        names = ", ".join(f"{word} ({score:.1f} %)" for word, score in better)
        said.append(
            f"Another network: of those whose weights are not here, best on ImageNet are {names}; "
            f"the best here has {best:.1f} %. model={','.join(word for word, _ in better)} tries "
            "them."
        )
    return [*said, *(f"{way} failed: {why}" for way, why in found.desk.failed.items())]
