"""Which network, which way of transferring, at what cost: `graftwork advise`.

    python -m pipelines.advise dataset=folder dataset.path=photos budget=10min

Probes networks whose weights are here, looks at the photos and at what needs no network, and
trains what tells most and the budget allows; graftwork.advising.rules says by which rules. Every
experiment is a job of one run in MLflow, in a folder that follows from the command line, so that
the same command goes on where it was stopped. No label of a test picture is read.
"""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import psutil
from rich.console import Console

from graftwork.advising.advice import Advice
from graftwork.advising.rules import PROBE, Way
from graftwork.config.errors import UserError
from graftwork.data import manifest
from graftwork.experiment import Experiment
from graftwork.process.one_writer import only_writer
from graftwork.process.stopping import status_of, stop_orderly
from graftwork.process.terminal import literal
from graftwork.recording.opening import open_sweep
from graftwork.recording.tracked_run import Run
from graftwork.reporting.numbers import duration, percent
from graftwork.storage.artifacts import Artifacts
from graftwork.storage.files import write_json
from pipelines import launchers
from pipelines.advice_candidates import Asked, asked, here
from pipelines.advice_found import Found
from pipelines.advice_jobs import Clock, Desk, Measured
from pipelines.advice_looks import look, on_shared_folds
from pipelines.advice_told import told
from pipelines.named_sweep import job_folder
from pipelines.stage import check_recorder, reported

if TYPE_CHECKING:
    import pandas as pd

PLACE = Path("runs/advise")
FIRST = "efficientnet_lite0"  # where no weights are here yet
Say = Callable[[str], None]


def advise(wanted: Asked, say: Say, clock: Clock) -> Advice:
    """Does all of it, and leaves advice.html and advice.json in its folder.

    Raises:
        UserError: no network could be probed.
    """
    shared = Path.cwd()
    networks = wanted.networks or here(Artifacts.at(shared)) or [FIRST]
    wanted = dataclasses.replace(wanted, networks=networks)
    place = Artifacts.at(PLACE / job_folder(" ".join(wanted.common)), shared)
    place.root.mkdir(parents=True, exist_ok=True)
    with only_writer(place.root):
        desk = Desk(place.root, shared, wanted.common, clock)
        experiment, _, _ = desk.compose(Way(networks[0], 0, PROBE))
        check_recorder(experiment, place)
        frame = _prepared(experiment, place)
        desk.folder = place.root / manifest.digest(frame)[:8]
        desk.photos = sum(len(manifest.of_split(frame, split)) for split in ("train", "val"))
        run = _opened(desk, wanted, experiment)
        try:
            advice = told(_tried(desk, wanted, say))
            _write(advice, desk.folder, run)
        except BaseException as error:
            run.finish(status_of(error))
            raise
        run.finish()
    return advice


def _prepared(experiment: Experiment, artifacts: Artifacts) -> pd.DataFrame:
    """Which photos these are: of others there are other answers. Their table is printed."""
    from pipelines import download, prepare

    download.run(experiment, artifacts)
    prepare.run(experiment, artifacts)
    return manifest.read(artifacts.manifest)


def _opened(desk: Desk, wanted: Asked, experiment: Experiment) -> Run:
    """The run in MLflow whose children the experiments are."""
    desk.folder.mkdir(exist_ok=True)
    swept = {"model": wanted.networks, "transfer": wanted.strategies}
    told_apart = {**swept, "model.input_size": []}
    write_json(desk.folder / "sweep.json", {"swept": told_apart})
    place = Artifacts.at(desk.folder, desk.shared)
    return open_sweep(experiment.tracking, place, f"advice for {experiment.dataset.name}", swept)


def _tried(desk: Desk, wanted: Asked, say: Say) -> Found:
    """All that is measured, in the order of the rules: probes while they tell most, then others."""
    found = Found.of(desk, wanted)
    while (way := found.next(found.trained)) is not None and way.strategy == PROBE:
        if _done(found, way, say) is None and way not in desk.failed:
            break  # time is up
    if not found.probes:
        late = (
            f"{duration(desk.clock.spent)} were up before one ended. Give it more (budget=10min); "
            "the same command goes on where it stopped."
        )
        reasons = "; ".join(desk.failed.values()) or late
        raise UserError(f"advise: no network could be probed: {reasons}")
    if desk.clock.spent + sum(one.stage("finetune") for one in found.probes) < desk.clock.end:
        with desk.clock.until(desk.clock.end):
            found.shared = on_shared_folds(found.probes, desk.clock)
    say("what there is to see without training")
    look(found.seen, found.leader, found.probes, desk.clock)
    while (way := found.next([way for way in found.ways if way.strategy != PROBE])) is not None:
        if _done(found, way, say) is None and way not in desk.failed:
            say("  time is up: it goes on from there when the same command is started again")
            break
    return found


def _done(found: Found, way: Way, say: Say) -> Measured | None:
    """One job, told in a line when it begins and in another one when it has ended."""
    say(f"{way}, about {duration(found.forecast(way))}")
    one = found.desk.run(way)
    if one is not None:
        say(f"  {percent(one.score)} of held-out photos, {duration(one.took)}")
    elif way in found.desk.failed:
        say(f"  failed: {found.desk.failed[way]}")
    return one


def _write(advice: Advice, folder: Path, run: Run) -> None:
    page, record = folder / "advice.html", folder / "advice.json"
    page.write_text(advice.page(), encoding="utf-8")
    write_json(record, dataclasses.asdict(advice))
    run.log_artifacts(page)
    run.log_artifacts(record)
    chosen = advice.chosen
    numbers = {f"expected/{key}": getattr(chosen, key) for key in ("score", "low", "high")}
    numbers |= {f"tau/{one.ranking.replace(' ', '_')}": one.tau for one in advice.rankings}
    run.log_metrics(numbers)
    run.set_tags({"advice": str(chosen.way), "advice.command": advice.command})


def main() -> None:
    """The command line. Exit code 2 and one message for a user's mistake."""
    stop_orderly()
    with reported(), launchers.quick():
        console = Console(soft_wrap=True, highlight=False)
        wanted = asked(sys.argv[1:])
        clock = Clock(wanted.budget, begun=psutil.Process().create_time())
        advice = advise(wanted, lambda text: console.print(literal(text)), clock)
        console.print()
        for sentence in [*advice.sentences(), *advice.changes]:
            console.print(literal(sentence))
        console.print()
        console.print(literal(advice.command))


if __name__ == "__main__":
    main()
