"""Every head on the same stored features: seconds of each fit, its choice included."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from benchmarks.workplace import Workplace, alternating, parameters, ratio, told
from graftwork.transfer.parts import Examples, HeadInit

# The strategies that train nothing through the network, the regression first.
STRATEGIES = (
    "linear_probe", "svm_probe", "ridge_probe", "class_means", "cosine_probe", "knn", "mlp_probe",
)  # fmt: skip


def every_head(place: Workplace, repeats: int) -> Iterator[str]:
    """Fits alone, in one process: features stored, folds known, libraries imported."""
    fits = list(prepared(place))
    for fit in fits:
        fit()  # imports, and what a first call makes
    seconds = dict(zip(STRATEGIES, alternating(repeats, *map(timed, fits)), strict=True))
    regression = seconds["linear_probe"]
    yield "heads on the groceries' stored features, their choice included, seconds of the fit:"
    for name, found in seconds.items():
        faster = f"; {told(ratio(regression, found))} times faster" if name != STRATEGIES[0] else ""
        yield f"  {name}: {told(found, 3)}{faster}"
    yield f"  all {len(seconds)}: {told([sum(one) for one in zip(*seconds.values(), strict=True)])}"


def prepared(place: Workplace) -> Iterator[Callable[[], object]]:
    """The fit of each strategy on train and val, with the folds that choose it."""
    from graftwork.data import manifest
    from graftwork.features.feature_store import features_of
    from graftwork.selecting.held_out import held_out
    from graftwork.selecting.stored_match import stored

    artifacts = place.artifacts
    chosen = {name: strategy(place.folder, name) for name in STRATEGIES}
    experiment = parameters(place.folder, f"transfer={STRATEGIES[0]}")
    frame = manifest.read(artifacts.manifest)
    classes = len(json.loads(artifacts.classes.read_text()))
    rows = held_out(
        experiment, frame, classes, lambda some: features_of(experiment, artifacts, some),
        stored(artifacts.folds),
    )  # fmt: skip
    features = features_of(experiment, artifacts, rows.rows)
    examples = Examples(features, rows.labels, classes, rows.head_fold, experiment.seed)

    def fit(head_init: HeadInit) -> Callable[[], object]:
        def run() -> object:
            from graftwork.transfer import probe_space

            probe_space.forget()  # each pays for its own rotation
            return head_init.fit(examples)

        return run

    return map(fit, chosen.values())


def strategy(folder: Path, name: str) -> HeadInit:
    return parameters(folder, f"transfer={name}").transfer.head_init


def timed(run: Callable[[], object]) -> Callable[[], float]:
    def measured() -> float:
        start = time.perf_counter()
        run()
        return time.perf_counter() - start

    return measured
