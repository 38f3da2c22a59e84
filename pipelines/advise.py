"""Which network, which way of transferring, at what cost: `graftwork advise`.

    python -m pipelines.advise dataset=folder dataset.path=photos budget=10min

Looks at the photos, at what needs no network, probes every network whose weights are here, and
trains what the budget allows; graftwork.advising.rules says by which rules. Every experiment is a
job of one run in MLflow, in a folder that follows from the command line, so that the same command
goes on where it was stopped. No label of a test picture is read.
"""

from __future__ import annotations

import dataclasses
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from rich.console import Console

from graftwork.advising.advice import Advice
from graftwork.advising.advice_page import page
from graftwork.advising.rules import PROBE, Training, Way, may_probe, next_training, order, rung
from graftwork.config.errors import UserError
from graftwork.experiment import Experiment
from graftwork.process.one_writer import only_writer
from graftwork.process.stopping import status_of, stop_orderly
from graftwork.process.terminal import literal
from graftwork.recording.opening import open_sweep
from graftwork.recording.tracked_run import Run
from graftwork.reporting.numbers import duration, percent
from graftwork.storage.artifacts import Artifacts
from graftwork.storage.files import write_json
from pipelines.advice_candidates import Asked, asked, at_sizes, heads, here
from pipelines.advice_jobs import Clock, Desk, Measured
from pipelines.advice_told import Found, told
from pipelines.named_sweep import job_folder
from pipelines.stage import check_recorder, reported

PLACE = Path("runs/advise")
FIRST = "efficientnet_lite0"  # where no weights are here yet
Say = Callable[[str], None]


def advise(wanted: Asked, say: Say) -> Advice:
    """Does all of it, and leaves advice.html and advice.json in its folder.

    Raises:
        UserError: no network could be probed.
    """
    clock, shared = Clock(wanted.budget), Path.cwd()
    networks = wanted.networks or here(Artifacts.at(shared)) or [FIRST]
    wanted = dataclasses.replace(wanted, networks=networks)
    asked_in = shared / PLACE / job_folder(" ".join(_question(wanted)))
    asked_in.mkdir(parents=True, exist_ok=True)
    with only_writer(asked_in), _quiet():
        desk = Desk(asked_in, shared, wanted.common, clock)
        experiment, _, _ = desk.compose(Way(networks[0], 0, PROBE))
        check_recorder(experiment, Artifacts.at(asked_in, shared))
        desk.folder = asked_in / _data(experiment, Artifacts.at(asked_in, shared))
        with _recorded(desk, wanted, experiment) as run:
            advice = told(desk, wanted, _tried(desk, wanted, say))
            _write(advice, desk.folder, run)
    return advice


def _data(experiment: Experiment, artifacts: Artifacts) -> str:
    """Which photos these are: answers of others are of no use. Their table is printed."""
    from graftwork.data import manifest
    from pipelines import download, prepare

    download.run(experiment, artifacts)
    prepare.run(experiment, artifacts)
    return manifest.digest(manifest.read(artifacts.manifest))[:8]


def _question(wanted: Asked) -> list[str]:
    """What is asked, the budget left out: with another one the same answers are of use."""
    sizes = [str(size) for size in wanted.px]
    return [*wanted.common, *wanted.networks, *wanted.strategies, *sizes]


@contextmanager
def _quiet() -> Iterator[None]:
    """Stages print tables of results unless they are told that somebody else will."""
    before = os.environ.get("GRAFTWORK_RESULTS")
    os.environ["GRAFTWORK_RESULTS"] = "later"
    try:
        yield
    finally:
        os.environ.pop("GRAFTWORK_RESULTS")
        if before is not None:
            os.environ["GRAFTWORK_RESULTS"] = before


@contextmanager
def _recorded(desk: Desk, wanted: Asked, experiment: Experiment) -> Iterator[Run]:
    """The run in MLflow whose children the experiments are."""
    swept = {"model": wanted.networks, "transfer": wanted.strategies}
    names = {**swept, "model.input_size": [], "transfer.epochs": []}
    write_json(desk.folder / "sweep.json", {"swept": names})
    place = Artifacts.at(desk.folder, desk.shared)
    run = open_sweep(experiment.tracking, place, f"advice for {experiment.dataset.name}", swept)
    try:
        yield run
    except BaseException as error:
        run.finish(status_of(error))
        raise
    run.finish()


def _tried(desk: Desk, wanted: Asked, say: Say) -> Found:
    """All that is measured, in the order of the rules."""
    found = Found.of(desk, wanted, _probed(desk, wanted, say))
    for strategy in heads(wanted.strategies, found.epochs):
        _done(desk, Training(found.leader.training.way.by(strategy), 0), 0, say)
    say("what there is to see without training")
    found.look()
    while (training := _next(desk, found)) is not None:
        whole = found.epochs[training.way.strategy]
        if not _done(desk, training, whole, say, found.forecast(training)) and (
            training not in desk.failed
        ):
            say("  time is up: it goes on from there when the same command is started again")
            break
    return found


def _probed(desk: Desk, wanted: Asked, say: Say) -> list[Measured]:
    """Small sizes first, then the others of the networks that did best there."""
    sizes = {
        word: at_sizes(desk.compose(Way(word, 0, PROBE))[0], wanted.px) for word in wanted.networks
    }
    dearest = 0.0
    for word, px in sizes.items():
        way = Way(word, px[0], PROBE)
        if may_probe(dearest, desk.clock.spent if desk.done else 0.0, desk.clock.budget):
            one = _done(desk, Training(way, 0), 0, say)
            dearest = max(dearest, one.job.seconds if one else 0.0)
    first = sorted(desk.of(PROBE, 0), key=lambda one: -one.score)
    for one in first:
        way = one.training.way
        for size in sizes[way.network][1:]:
            seconds = one.job.seconds * (size / way.size) ** 2
            if may_probe(seconds, desk.clock.spent, desk.clock.budget):
                _done(desk, Training(Way(way.network, size, PROBE), 0), 0, say)
    if not first:
        reasons = "; ".join(desk.failed.values()) or "time was up"
        raise UserError(f"advise: no network could be probed: {reasons}")
    return desk.of(PROBE, 0)


def _next(desk: Desk, found: Found) -> Training | None:
    """By the rules."""
    scores = found.scores()
    trained = {one.training: score for one, score in scores if one.training.epochs}
    whole = {name: count for name, count in found.epochs.items() if count}
    short = {
        training.way: score
        for training, score in trained.items()
        if training.epochs == rung(whole[training.way.strategy])
    }
    complete = [t.way for t in trained if t.epochs == whole[t.way.strategy]]
    probes = [(one.training.way, score) for one, score in scores if one in found.probes]
    lost = {training.way for training in desk.failed}
    ways = [way for way in order(probes, list(whole)) if way not in lost]

    def seconds(training: Training) -> float:
        return found.forecast(training)

    return next_training(ways, short, complete, whole, desk.clock.left, seconds)


def _done(
    desk: Desk, training: Training, whole: int, say: Say, seconds: float = 0.0
) -> Measured | None:
    """One job, told in a line when it begins and in another one when it has ended."""
    epochs = f", {training.epochs} of {whole} epochs" if training.epochs < whole else ""
    say(f"{training.way}{epochs}" + (f", about {duration(seconds)}" if seconds else ""))
    one = desk.run(training, whole)
    if one is not None:
        say(f"  {percent(one.score)} of held-out photos, {duration(one.job.seconds)}")
    elif training in desk.failed:
        say(f"  failed: {desk.failed[training]}")
    return one


def _write(advice: Advice, folder: Path, run: Run) -> None:
    paths = folder / "advice.html", folder / "advice.json"
    paths[0].write_text(page(advice), encoding="utf-8")
    write_json(paths[1], dataclasses.asdict(advice))
    for path in paths:
        run.log_artifacts(path)
    expected = dataclasses.asdict(advice.expected)
    taus = {f"tau/{one.ranking.replace(' ', '_')}": one.tau for one in advice.rankings}
    run.log_metrics({**{f"expected/{key}": value for key, value in expected.items()}, **taus})
    run.set_tags({"advice": str(advice.chosen.way), "advice.command": advice.command})


def main() -> None:
    """The command line. Exit code 2 and one message for a user's mistake."""
    stop_orderly()
    with reported():
        console = Console(soft_wrap=True, highlight=False)
        wanted = asked(sys.argv[1:])
        advice = advise(wanted, lambda text: console.print(literal(text)))
        console.print()
        for sentence in [*advice.sentences(), *advice.changes]:
            console.print(literal(sentence))
        console.print()
        console.print(literal(advice.command))


if __name__ == "__main__":
    main()
