"""Which network, which way of transferring, at what cost: `graftwork advise`.

    python -m pipelines.advise dataset=folder dataset.path=photos budget=10min

Looks at the photos, at what needs no network, probes every network whose weights are here, and
trains what the budget allows; graftwork.advising.rules says by which rules. Every experiment is a
job of one run in MLflow, in a folder that follows from the command line, so that the same command
goes on where it was stopped. No label of a test picture is read.
"""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Callable
from pathlib import Path

from rich.console import Console

from graftwork.advising.advice import Advice
from graftwork.advising.rules import PROBE, Training, Way, may_probe, next_training, rung, sizes
from graftwork.config.errors import UserError
from graftwork.experiment import Experiment
from graftwork.process.one_writer import only_writer
from graftwork.process.stopping import status_of, stop_orderly
from graftwork.process.terminal import literal
from graftwork.recording.opening import open_sweep
from graftwork.recording.tracked_run import Run
from graftwork.reporting.numbers import duration, percent
from graftwork.settings.trainer import AUTO
from graftwork.storage.artifacts import Artifacts
from graftwork.storage.files import write_json
from pipelines.advice_candidates import Asked, asked, here
from pipelines.advice_jobs import Clock, Desk, Measured, forecast
from pipelines.advice_looks import look, on_shared_folds
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
    place = Artifacts.at(PLACE / job_folder(" ".join(wanted.common)), shared)
    place.root.mkdir(parents=True, exist_ok=True)
    with only_writer(place.root):
        desk = Desk(place.root, shared, wanted.common, clock)
        experiment, _, _ = desk.compose(Way(networks[0], 0, PROBE))
        check_recorder(experiment, place)
        desk.folder = place.root / _prepared(experiment, place)
        run = _opened(desk, wanted, experiment)
        try:
            advice = told(wanted, _tried(desk, wanted, say))
            _write(advice, desk.folder, run)
        except BaseException as error:
            run.finish(status_of(error))
            raise
        run.finish()
    return advice


def _prepared(experiment: Experiment, artifacts: Artifacts) -> str:
    """Which photos these are: of others there are other answers. Their table is printed."""
    from graftwork.data import manifest
    from pipelines import download, prepare

    download.run(experiment, artifacts)
    prepare.run(experiment, artifacts)
    return manifest.digest(manifest.read(artifacts.manifest))[:8]


def _opened(desk: Desk, wanted: Asked, experiment: Experiment) -> Run:
    """The run in MLflow whose children the experiments are."""
    desk.folder.mkdir(exist_ok=True)
    swept = {"model": wanted.networks, "transfer": wanted.strategies}
    told_apart = {**swept, "model.input_size": [], "transfer.epochs": [], "trainer.refit": []}
    write_json(desk.folder / "sweep.json", {"swept": told_apart})
    place = Artifacts.at(desk.folder, desk.shared)
    return open_sweep(experiment.tracking, place, f"advice for {experiment.dataset.name}", swept)


def _tried(desk: Desk, wanted: Asked, say: Say) -> Found:
    """All that is measured, in the order of the rules."""
    probes = _probed(desk, wanted, say)
    epochs = {name: _epochs(desk, probes[0], name) for name in wanted.strategies}
    found = Found(desk, probes, epochs, on_shared_folds(probes, desk.clock))
    best = found.leader.training.way
    for strategy in (name for name, count in epochs.items() if not count and name != PROBE):
        _done(desk, Training(best.by(strategy), 0), say)
    say("what there is to see without training")
    look(found.seen, found.leader, probes, desk.clock)
    while (training := _next(found)) is not None:
        whole = epochs[training.way.strategy]
        one = _done(desk, training, say, whole, found.forecast(training))
        if one is None and training not in desk.failed:
            say("  time is up: it goes on from there when the same command is started again")
            break
    return found


def _epochs(desk: Desk, probe: Measured, strategy: str) -> int:
    """Of a whole training: of few pictures perhaps more than the strategy says."""
    experiment, pictures = desk.compose(probe.training.way.by(strategy))[0], probe.job.fitted or 0
    trainer = experiment.trainer
    batch = trainer.rates_batch if trainer.batch_size == AUTO else trainer.batch_size
    return experiment.transfer.epochs_of(max(1, pictures // int(batch)))


def _probed(desk: Desk, wanted: Asked, say: Say) -> list[Measured]:
    """Small sizes first, then the others of the networks that did best there."""
    from graftwork.profiling.profile import built

    px, seconds = {}, 0.0
    for word in wanted.networks:
        model = desk.compose(Way(word, 0, PROBE))[0].model
        px[word] = wanted.px or sizes(built(model, num_classes=2).input_spec.size)
        if one := _probe(desk, wanted, Way(word, px[word][0], PROBE), seconds, say):
            seconds = one.job.seconds
    for one in sorted(desk.of(PROBE, 0), key=lambda one: -one.score):
        way = one.training.way
        for size in px[way.network][1:]:
            seconds = one.job.seconds * (size / way.size) ** 2
            _probe(desk, wanted, Way(way.network, size, PROBE), seconds, say)
    if not desk.of(PROBE, 0):
        reasons = "; ".join(desk.failed.values()) or "time was up"
        raise UserError(f"advise: no network could be probed: {reasons}")
    return desk.of(PROBE, 0)


def _probe(desk: Desk, wanted: Asked, way: Way, seconds: float, say: Say) -> Measured | None:
    """If the rules allow it; the first is done in any case."""
    best = max(desk.of(PROBE, 0), key=lambda one: one.score, default=None)
    training = 0.0
    if best is not None:
        strategy = wanted.strategies[0]
        whole = Training(best.training.way.by(strategy), _epochs(desk, best, strategy))
        training = forecast(whole, best, [], best.refit)
    if best is None or may_probe(seconds, training, desk.clock.spent, desk.clock.end):
        return _done(desk, Training(way, 0), say)
    desk.skipped.append(way)
    return None


def _next(found: Found) -> Training | None:
    """By the rules."""
    trained = {job: score for job, score in found.scores().items() if job.epochs}
    short = {
        job.way: score
        for job, score in trained.items()
        if job.epochs == rung(found.epochs[job.way.strategy])
    }
    whole = [job.way for job in trained if found.is_whole(job)]
    lost = {job.way for job in found.desk.failed}
    ways = [job.way for job in found.untried() if job.way not in lost]
    left = found.desk.clock.end - found.desk.clock.spent
    return next_training(ways, short, whole, found.epochs, left, found.forecast)


def _done(
    desk: Desk, training: Training, say: Say, whole: int = 0, seconds: float = 0.0
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
    page, record = folder / "advice.html", folder / "advice.json"
    page.write_text(advice.page(), encoding="utf-8")
    write_json(record, dataclasses.asdict(advice))
    run.log_artifacts(page)
    run.log_artifacts(record)
    numbers = {f"expected/{key}": value for key, value in vars(advice.expected).items()}
    numbers |= {f"tau/{one.ranking.replace(' ', '_')}": one.tau for one in advice.rankings}
    run.log_metrics(numbers)
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
