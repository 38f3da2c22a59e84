"""The study of a search: a journal in the sweep's folder, to which every job may report."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from graftwork.config.errors import UserError, unknown

if TYPE_CHECKING:
    from optuna.study import Study
    from optuna.trial import FrozenTrial

    from pipelines.early_end import Judge

JOURNAL = "study.journal"
NAME = "sweep"  # of the study in it
OWN = "overrides"  # of a trial: what it chose
PRUNER = "pruner"  # of the study: name and options


def judge(folder: Path, overrides: Sequence[str]) -> Judge | None:
    """Whether a job of a search should go on, by its pruner; None: it is of no search.

    Args:
        folder: of the sweep.
        overrides: of the job.
    """
    if not (folder / JOURNAL).is_file():
        return None
    from optuna.trial import Trial, TrialState

    study = opened(folder)
    study.pruner = named("pruner", *study.user_attrs[PRUNER])
    running = study.get_trials(deepcopy=False, states=(TrialState.RUNNING,))
    mine = [t for t in running if OWN in t.user_attrs and {*t.user_attrs[OWN]} <= {*overrides}]
    if not mine:
        return None
    storage = _storage(folder)
    place = storage.get_study_id_from_name(NAME), mine[0].number
    trial = Trial(study, storage.get_trial_id_from_study_id_trial_number(*place))
    seen = max(mine[0].intermediate_values, default=-1)  # in an earlier process
    sign_is_error = study.direction.name == "MINIMIZE"

    def ask(score: float, epoch: int) -> str:
        step = epoch + 1  # successive halving counts from 1: the probe is its first rung
        if step < seen:
            return ""
        if step > seen:
            trial.report(1 - score if sign_is_error else score, step)
        if not trial.should_prune():
            return ""
        when = f"after epoch {epoch}" if epoch else "by its probe on stored features"
        return f"{when}, held-out top-1 {100 * score:.1f} %: others were better by then"

    return ask


def _storage(folder: Path) -> Any:
    from optuna.storages import JournalStorage
    from optuna.storages.journal import JournalFileBackend

    return JournalStorage(JournalFileBackend(str(folder / JOURNAL)))


def opened(folder: Path, direction: str | None = None) -> Study:
    """The one of this folder; with a direction it is made where there is none."""
    import optuna

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    if direction is None:
        return optuna.load_study(study_name=NAME, storage=_storage(folder))
    way: Any = direction
    return optuna.create_study(
        study_name=NAME, storage=_storage(folder), direction=way, load_if_exists=True
    )


def chosen_in(study: Study) -> set[tuple[str, ...]]:
    """The configurations that were tried."""
    found = study.get_trials(deepcopy=False)
    return {tuple(t.user_attrs[OWN]) for t in found if OWN in t.user_attrs}


def like(study: Study, own: Sequence[str]) -> FrozenTrial | None:
    """Another trial of the same configuration, unless it failed."""
    same = (t for t in study.get_trials(deepcopy=False) if t.user_attrs.get(OWN) == list(own))
    return next((trial for trial in same if trial.state.name != "FAIL"), None)


def named(kind: str, name: str, options: Mapping[str, Any]) -> Any:
    """One of Optuna's samplers or pruners, by what stands before that word in its name."""
    try:
        import optuna
    except ModuleNotFoundError:
        raise UserError(
            "hydra/sweeper: optuna is not installed. pip install 'graftwork[optuna]'"
        ) from None
    room, end = getattr(optuna, f"{kind}s"), kind.capitalize()
    known = {word[: -len(end)]: getattr(room, word) for word in dir(room) if word.endswith(end)}
    plain = {word.lower(): word for word in known if word != "Base"}
    found = plain.get(name.replace("_", "").lower())
    if found is None:
        raise unknown(f"hydra.sweeper.{kind}", name, plain)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
            return known[found](**options)
    except (TypeError, ValueError, ImportError) as error:
        raise UserError(f"hydra.sweeper.{kind}_options: {found}{end}: {error}") from error
