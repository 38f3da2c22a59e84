"""A range test of learning rates on an experiment's training pictures: `graftwork lr-find`.

    python -m pipelines.lr_find model=resnet50 transfer=fine_tune

Downloads and prepares as the experiment does; no held-out and no test picture is looked at.
"""

from __future__ import annotations

import shlex
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from graftwork.config.errors import UserError
from graftwork.experiment import Experiment
from graftwork.process.stopping import stop_orderly
from graftwork.storage.artifacts import Artifacts
from pipelines import params
from pipelines.ahead import check_ahead
from pipelines.stage import reported

if TYPE_CHECKING:
    import pandas as pd

    from graftwork.transfer.parts import Examples, FittedHead

PLACE = Path("runs/lr-find")
STEPS = 100
LOWEST, HIGHEST = 1e-3, 1e3  # factors of the strategy's own rates


def find(experiment: Experiment, artifacts: Artifacts, overrides: Sequence[str]) -> list[str]:
    """Runs the test and writes its page. Returns what to print.

    Raises:
        UserError: the strategy trains nothing by steps.
    """
    transfer = experiment.transfer
    if not transfer.epochs:
        raise UserError(
            f"transfer={transfer.name}: takes no steps (epochs: 0), so it has no rate to find. "
            "Choose a strategy that trains, such as transfer=lp_ft."
        )
    check_ahead(experiment)
    from pipelines import download, prepare

    download.run(experiment, artifacts)
    prepare.run(experiment, artifacts)
    from graftwork.data import manifest
    from graftwork.reporting import range_page
    from graftwork.training.range_test import range_test

    fit = manifest.of_split(manifest.read(artifacts.manifest), "train")
    classes = manifest.read_classes(artifacts.classes)
    head = _head(experiment, artifacts, fit, len(classes))
    found = range_test(
        experiment, artifacts, head, fit, len(classes), steps=STEPS, low=LOWEST, high=HIGHEST
    )
    value = float(getattr(transfer.rates, transfer.rates.scale))
    key = f"transfer.rates.{transfer.rates.scale}"
    chosen = f"{key}={value * found.proposed:.2g}"
    command = shlex.join(["python", "-m", "pipelines.experiment", *overrides, chosen])
    page = range_page.write(artifacts.root, found, key, value, command)
    return [*range_page.sentences(found, key, value), f"Page: {page}", command]


def _head(
    experiment: Experiment, artifacts: Artifacts, fit: pd.DataFrame, num_classes: int
) -> FittedHead | None:
    """The head that training would begin from."""
    head_init = experiment.transfer.head_init
    if not head_init.needs_features:
        return None
    from graftwork.data.folds import learnable, stratified
    from graftwork.features.feature_store import features_of

    labels = fit["label"].to_numpy()
    folds = stratified(labels, experiment.selection.head_folds, experiment.dataset.splits.seed)
    features = features_of(experiment, artifacts, fit)
    fold = learnable(folds, labels)
    return head_init.fit(Examples(features, labels, num_classes, fold, experiment.seed))


def main() -> None:
    """The command line. Exit code 2 and one message for a user's mistake."""
    stop_orderly()
    with reported():
        overrides = sys.argv[1:]
        artifacts = Artifacts.at(PLACE, shared=Path.cwd())
        artifacts.root.mkdir(parents=True, exist_ok=True)
        params.write(artifacts.params, overrides)
        experiment = Experiment.from_file(artifacts.params)
        for line in find(experiment, artifacts, overrides):
            print(line)


if __name__ == "__main__":
    main()
