"""Runs the step again at which an experiment's training diverged: `graftwork replay`.

It goes on from the checkpoint before that step, as any training that was cut does, and writes
nothing but its page.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from graftwork.config.errors import UserError
from graftwork.experiment import Experiment
from graftwork.process import distributed
from graftwork.process.stopping import stop_orderly
from graftwork.storage.artifacts import Artifacts
from graftwork.training.diverging import Diverged
from graftwork.training.flight_record import newest_record
from graftwork.training.resuming.legs import Legs
from graftwork.training.resuming.ongoing import Ongoing
from pipelines.finetune import inputs
from pipelines.stage import left_as_asked, reported


def replay(experiment: Experiment, artifacts: Artifacts) -> bool:
    """Says what it found and writes the page. Whether the step gave the recorded numbers, bit for
    bit.

    Raises:
        UserError: no step is recorded, or it is not reached any more.
    """
    from graftwork.training.replaying import Reached, Replaying

    ongoing = Ongoing.of(experiment, artifacts)
    if (found := newest_record(ongoing.folder)) is None:
        raise UserError(_missing(artifacts))
    leg, record = found
    given, _ = inputs(experiment, artifacts)
    looking_on = {(leg.name, record["attempt"]): (Replaying(record),)}
    legs = Legs(ongoing.folder, None, None, looking_on)
    try:
        given.finetuned(artifacts, lambda row, epoch: None, legs)
    except Reached as reached:
        with distributed.joined():
            seen = distributed.gathered(reached.seen)
    except Diverged as error:
        raise UserError(f"the recorded step was not reached: {error}") from error
    else:
        raise UserError("the recorded step was not reached: training ended without it.")
    return distributed.rank() > 0 or _told(given.experiment, artifacts, given.classes, record, seen)


def _told(
    experiment: Experiment,
    artifacts: Artifacts,
    classes: list[str],
    record: dict[str, Any],
    seen: list[Any],
) -> bool:
    from graftwork.inspecting import replay_page
    from graftwork.inspecting.replay_words import facts_of

    facts = facts_of(record, seen)
    for name, value in facts.rows:
        print(f"{name:<10}{value}")
    page = replay_page.write(artifacts, experiment, classes, record, seen, facts)
    print(f"{'page':<10}{page}")
    return facts.same


def _missing(artifacts: Artifacts) -> str:
    """Why there is no step of this experiment as it is now."""
    for path in artifacts.training.iterdir() if artifacts.training.is_dir() else ():
        found = newest_record(path)
        if found and Path(found[1]["root"]) == artifacts.root:
            return (
                f"{artifacts.root}: its training diverged under other settings, data or code than "
                "those of now. Bring them back (params.yaml; the commit is a tag of its run in "
                "MLflow), then replay again."
            )
    return (
        f"{artifacts.root}: no step is recorded here. A training that diverges records one, unless "
        "it keeps no checkpoints (trainer.checkpoint_minutes=null); it goes when the training has "
        "succeeded."
    )


def main() -> None:
    """The command line. Exit code 0 if the step gave the same bits, 1 if not, 2 for a mistake."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--root", required=True, help="folder of the experiment (params.yaml)")
    parser.add_argument("--shared", required=True, help="folder of the project")
    options = parser.parse_args()
    stop_orderly()
    with left_as_asked(), reported():
        artifacts = Artifacts.at(options.root, options.shared)
        experiment = Experiment.from_file(artifacts.params)
        if distributed.relaunched(
            experiment.trainer.processes,
            artifacts,
            "pipelines.replay",
            experiment.trainer.group_timeout,
        ):
            return
        same = replay(experiment, artifacts)
    raise SystemExit(0 if same or distributed.inside() else 1)


if __name__ == "__main__":
    main()
