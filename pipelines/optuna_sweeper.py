"""Optuna as a sweeper: it asks for configurations, jobs are ended early, all of it goes on later.

The study is a file of the sweep's folder that every job may write to, and a trial is a job. Each
draw follows from the seed, its number and what is known by then, so that a search that was cut
comes to what it would have come to.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from filelock import FileLock, Timeout
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.plugins import Plugins
from hydra.plugins.sweeper import Sweeper

from graftwork.config.errors import UserError, unknown
from graftwork.process.terminal import visible
from pipelines.early_end import Judge
from pipelines.override_names import choices_of
from pipelines.ranking import PRUNED, read
from pipelines.search_space import Space

if TYPE_CHECKING:
    from optuna.study import Study
    from optuna.trial import FrozenTrial

TARGET = "hydra_plugins.graftwork_sweepers.Optuna"
JOURNAL = "study.journal"  # in the sweep's folder
NAME = "sweep"  # of the study in it
OWN = "overrides"  # of a trial: what it chose
PRUNER = "pruner"  # of the study: name and options
PATIENCE = 40  # draws that were drawn before, until the space counts as exhausted

log = logging.getLogger(__name__)


class OptunaSweeper(Sweeper):
    """See conf/hydra/sweeper/optuna.yaml.

    Raises:
        UserError: Optuna is not installed, or has no such sampler, pruner or option.
    """

    def __init__(
        self, space: str | None, trials: int, at_once: int, direction: str, seed: int, sampler: str,
        sampler_options: Mapping[str, Any], pruner: str, pruner_options: Mapping[str, Any],
    ) -> None:  # fmt: skip
        if trials < 1 or at_once < 1:
            raise UserError(f"hydra.sweeper: trials={trials}, at_once={at_once}: at least 1 each.")
        self.space, self.trials, self.at_once, self.direction = space, trials, at_once, direction
        self._seed, self._sampler, self._draws = seed, sampler, dict(sampler_options)
        self._pruner: list[Any] = [pruner, dict(pruner_options)]
        self._drawn(0)
        _pruner(*self._pruner)

    def _drawn(self, number: int, anything: bool = False) -> Any:
        """The sampler of a trial."""
        seed = {"seed": self._seed + number}
        if anything:
            return _named("sampler", "random", seed)
        return _named("sampler", self._sampler, {**seed, **self._draws})

    def setup(self, *, hydra_context: Any, task_function: Any, config: Any) -> None:
        self._folder = Path(config.hydra.sweep.dir)
        self._launcher = Plugins.instance().instantiate_launcher(
            hydra_context=hydra_context, task_function=task_function, config=config
        )

    def sweep(self, arguments: list[str]) -> None:
        """Does what was cut or failed again, and then what is new."""
        fixed, swept = split(arguments)
        space = Space.of(self.space, swept)
        lock = FileLock(self._folder / f".{JOURNAL}.search.lock")
        try:
            lock.acquire(timeout=0)
        except Timeout:
            raise UserError(
                f"{visible(self._folder)}: another process is at this search. For several jobs at "
                "once: hydra/launcher=joblib hydra.sweeper.at_once=2."
            ) from None
        with lock:
            study = _study(self._folder, self.direction)
            study.set_user_attr(PRUNER, self._pruner)
            earlier = self._cut(study) + self._failed(study, space)
            for begin in range(0, len(earlier), self.at_once):
                self._run(study, earlier[begin : begin + self.at_once], fixed)
            while (left := self.trials - len(_known(study))) > 0:
                batch = self._asked(study, space, min(left, self.at_once))
                if not batch:
                    log.info("every configuration of the space has been tried")
                    break
                self._run(study, batch, fixed)

    def _cut(self, study: Study) -> list[tuple[int, list[str]]]:
        """Trials that were under way when an earlier start ended: as they were chosen."""
        from optuna.trial import TrialState

        cut = study.get_trials(deepcopy=False, states=(TrialState.RUNNING,))
        for trial in cut:
            if OWN not in trial.user_attrs:  # it was just being chosen
                study.tell(trial.number, state=TrialState.FAIL)
        return [(t.number, t.user_attrs[OWN]) for t in cut if OWN in t.user_attrs]

    def _failed(self, study: Study, space: Space) -> list[tuple[int, list[str]]]:
        """Of each that failed in an earlier start another trial: Optuna takes no result back."""
        from optuna.trial import TrialState

        failed = study.get_trials(deepcopy=False, states=(TrialState.FAIL,))
        again = {tuple(t.user_attrs[OWN]): t for t in failed if OWN in t.user_attrs}
        found = []
        for own, trial in again.items():
            if _like(study, own) is None:
                study.enqueue_trial(trial.params)
                found.append(self._chosen(study, space))
        return found

    def _chosen(
        self, study: Study, space: Space, *, anything: bool = False
    ) -> tuple[int, list[str]]:
        """A trial and its overrides; none where they have been tried.

        Args:
            anything: by chance alone.
        """
        study.sampler = self._drawn(len(study.get_trials(deepcopy=False)), anything)
        trial = study.ask()
        own = space.suggested(trial)
        if (like := _like(study, own)) is None:
            trial.set_user_attr(OWN, own)
            return trial.number, own
        # Of one that is under way nothing is known yet.
        state = like.state if like.state.is_finished() else type(like.state).FAIL
        value = like.value if state.name == "COMPLETE" else None
        study.tell(trial, value, state=state)
        return trial.number, []

    def _asked(self, study: Study, space: Space, count: int) -> list[tuple[int, list[str]]]:
        """So many configurations that are new; fewer where there are no more."""
        found: list[tuple[int, list[str]]] = []
        for draw in range(PATIENCE):
            if len(found) == count:
                break
            # What looks best is proposed again and again, where it has few neighbours.
            chosen = self._chosen(study, space, anything=draw > PATIENCE // 4)
            found += [chosen] if chosen[1] else []
        return found

    def _run(
        self, study: Study, batch: Sequence[tuple[int, list[str]]], fixed: Sequence[str]
    ) -> None:
        from optuna.trial import TrialState

        jobs = [[*fixed, *own] for _, own in batch]
        done = self._launcher.launch(jobs, initial_job_idx=batch[0][0])
        for (number, own), job in zip(batch, done, strict=True):
            assert job.hydra_cfg is not None
            folder = Path(str(job.hydra_cfg.hydra.runtime.output_dir))
            status = read(folder / "job.json").get("status", "killed")
            value = job.return_value
            if status == PRUNED:
                study.tell(number, state=TrialState.PRUNED)
            elif isinstance(value, float) and math.isfinite(value):
                study.tell(number, value)
            else:
                study.tell(number, state=TrialState.FAIL)
            log.info("trial %d (%s): %s", number, visible(" ".join(own)), status)


def split(arguments: Sequence[str]) -> tuple[list[str], dict[str, list[str]]]:
    """Overrides that every job has, and lists to choose from."""
    parsed = OverridesParser.create().parse_overrides(list(arguments))
    swept = {o.get_key_element(): choices_of(o) for o in parsed if o.is_sweep_override()}
    return [str(o.input_line) for o in parsed if not o.is_sweep_override()], swept


def judge(folder: Path, overrides: Sequence[str]) -> Judge | None:
    """Whether a job of a search should go on, by its pruner; None: it is of no search.

    Args:
        folder: of the sweep.
        overrides: of the job.
    """
    if not (folder / JOURNAL).is_file():
        return None
    from optuna.trial import Trial, TrialState

    study = _study(folder)
    study.pruner = _pruner(*study.user_attrs[PRUNER])
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


def _study(folder: Path, direction: str | None = None) -> Study:
    """The one of this folder; with a direction it is made where there is none."""
    import optuna

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    if direction is None:
        return optuna.load_study(study_name=NAME, storage=_storage(folder))
    way: Any = direction
    return optuna.create_study(
        study_name=NAME, storage=_storage(folder), direction=way, load_if_exists=True
    )


def _known(study: Study) -> set[tuple[str, ...]]:
    found = study.get_trials(deepcopy=False)
    return {tuple(t.user_attrs[OWN]) for t in found if OWN in t.user_attrs}


def _like(study: Study, own: Sequence[str]) -> FrozenTrial | None:
    """Another trial of the same configuration, unless it failed."""
    same = (t for t in study.get_trials(deepcopy=False) if t.user_attrs.get(OWN) == list(own))
    return next((trial for trial in same if trial.state.name != "FAIL"), None)


def _pruner(name: str, options: Mapping[str, Any]) -> Any:
    return _named("pruner", name, options)


def _named(kind: str, name: str, options: Mapping[str, Any]) -> Any:
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
        return known[found](**options)
    except (TypeError, ValueError, ImportError) as error:
        raise UserError(f"hydra.sweeper.{kind}_options: {found}{end}: {error}") from error
