"""The transfer strategy: a head from stored features, or training through the network."""

from __future__ import annotations

import sys
from contextlib import ExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING

from graftwork.data import manifest
from graftwork.experiment import Experiment
from graftwork.features.feature_store import features_of
from graftwork.model_folder.saving import save
from graftwork.process import distributed
from graftwork.selecting.held_out import held_out
from graftwork.selecting.stored_match import stored
from graftwork.settings.trainer import AUTO
from graftwork.storage.artifacts import Artifacts
from graftwork.training.history import Row, Told, kept_first, write_history
from graftwork.training.ready import check_ready
from graftwork.training.resuming.ongoing import Ongoing
from graftwork.training.source import Finetuned
from graftwork.training.transferring import finetune
from pipelines.ahead import check_ahead
from pipelines.early_end import judge_of, watched
from pipelines.stage import main

if TYPE_CHECKING:
    import pandas as pd

    from graftwork.profiling.batch_size import Found
    from graftwork.selecting.held_out import HeldOut
    from graftwork.training.resuming.legs import Legs


def run(experiment: Experiment, artifacts: Artifacts) -> None:
    """Writes the model folder, the training curves, what chose and run.json; records in MLflow."""
    wanted = experiment.trainer.processes if experiment.transfer.epochs else 1
    if distributed.relaunched(
        wanted, artifacts, "pipelines.finetune", experiment.trainer.group_timeout
    ):
        return
    given, batch = inputs(experiment, artifacts)
    ongoing = Ongoing.of(experiment, artifacts)
    if experiment.trainer.resume == "never" and distributed.rank() == 0:
        ongoing.forget()
    experiment = given.experiment
    legs = ongoing.legs(experiment)
    with ExitStack() as stack:
        tell: Told = lambda row, epoch: None  # noqa: E731
        curves = tell
        if distributed.rank() == 0:
            from graftwork.recording.opening import open_run

            ongoing.take_up_run()
            tracked = stack.enter_context(open_run(experiment, artifacts))
            ongoing.note_run()
            tell = tracked.log_metrics
            curves = kept_first(artifacts.history, tell)
            if judge := judge_of(artifacts.root):
                curves = watched(curves, judge, tracked.set_tags, artifacts.root)
                curves(given.first_rung(artifacts), 0)
            if batch is not None:
                tell({"batch_size/images": batch.images, "batch_size/rates": batch.rates}, 0)
        found = given.finetuned(artifacts, curves, legs)
        if distributed.rank() == 0:
            _save(experiment, artifacts, given.classes, found)
            tracked.log_artifacts(artifacts.audit, "audit")
            gone_back, ended = len(found.record.gone_back), found.record.ended_as_start
            tell({"guard/gone_back": gone_back, "guard/ended_as_start": float(ended)}, 0)
            if moved := found.audit.moved:
                tell(moved, found.facts["epochs"])


@dataclass(frozen=True)
class Inputs:
    """What is fine-tuned, and on what."""

    experiment: Experiment  # with a number of images a batch
    classes: list[str]
    chooses: HeldOut
    test: pd.DataFrame | None  # that is watched

    def finetuned(self, artifacts: Artifacts, told: Told, legs: Legs | None) -> Finetuned:
        """See `graftwork.training.transferring.finetune`."""
        return finetune(
            self.experiment, artifacts, self.chooses, self.test, len(self.classes), told, legs
        )

    def first_rung(self, artifacts: Artifacts) -> Row:
        """A probe of the network as it was pretrained, where the strategy computes none itself."""
        from graftwork.training.transferring import source_of
        from graftwork.training.typical import probe_top1

        if self.experiment.transfer.head_init.needs_features:
            return {}
        source = source_of(self.experiment, artifacts, self.chooses, len(self.classes))
        return {} if (found := probe_top1(source)) is None else {"probe/cv_top1": found}


def inputs(experiment: Experiment, artifacts: Artifacts) -> tuple[Inputs, Found | None]:
    """All that training begins from, and the batch that fits, where it was looked for.

    Raises:
        UserError: something of it is missing, damaged, or does not fit the rest.
    """
    frame = manifest.read(artifacts.manifest)
    classes = manifest.read_classes(artifacts.classes)
    check_ready(experiment, artifacts, classes)
    chooses = held_out(
        experiment,
        frame,
        len(classes),
        lambda rows: features_of(experiment, artifacts, rows),
        stored(artifacts.folds),
    )
    experiment, batch = _with_batch(experiment, len(classes), len(chooses.rows))
    test = manifest.of_split(frame, "test") if experiment.trainer.watch_test else None
    return Inputs(experiment, classes, chooses, test), batch


def forget(experiment: Experiment, artifacts: Artifacts) -> None:
    """Removes what the stage kept in case that it should be cut, when it is done."""
    Ongoing.of(experiment, artifacts).forget()


def _with_batch(
    experiment: Experiment, num_classes: int, pictures: int
) -> tuple[Experiment, Found | None]:
    """With a number for `trainer.batch_size=auto`, which is told."""
    if experiment.trainer.batch_size != AUTO:
        return experiment, None
    from graftwork.profiling.batch_size import resolved

    experiment, batch = resolved(experiment, num_classes, pictures)
    if batch is not None:
        print(batch.words, file=sys.stderr)
    return experiment, batch


def _save(
    experiment: Experiment,
    artifacts: Artifacts,
    classes: list[str],
    found: Finetuned,
) -> None:
    from graftwork.evaluating import prediction_table as predictions
    from graftwork.features.engines.backbone import receipt
    from graftwork.recording.lineage import data_digests

    training = {
        "strategy": experiment.transfer.name,
        "seed": experiment.seed,
        "fitted": found.record.fitted,
        "selection": found.record.words,
        **found.facts,
    }
    receipts = {name: penalty.receipt() for name, penalty in experiment.transfer.penalties.items()}
    if taught := {name: facts for name, facts in receipts.items() if facts}:
        training["penalties"] = taught
    save(
        artifacts.model,
        found.model.weights,
        experiment=experiment,
        head=found.model.head,
        input_spec=found.model.input_spec,
        classes=classes,
        training=training,
        pretrained=receipt(experiment, artifacts),
        data_digest=data_digests(artifacts.manifest)["data.digest"],
    )
    artifacts.start.parent.mkdir(parents=True, exist_ok=True)  # stands also where it stays empty
    artifacts.start.unlink(missing_ok=True)
    if found.start is not None:
        found.start.write(artifacts.start)
    found.record.write(artifacts.selection)
    found.audit.write(artifacts.audit)
    for place, of in ((artifacts.held_out, found.held_out), (artifacts.new, found.new)):
        place.unlink(missing_ok=True)
        if of is not None:
            predictions.write(place, of[0], classes, of[1])
    write_history(found.rows, artifacts.history)


if __name__ == "__main__":
    main(run, check_ahead, forget)
