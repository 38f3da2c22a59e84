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

from graftwork.config.errors import UserError
from graftwork.process.terminal import visible
from pipelines.composed_once import composed_once
from pipelines.override_names import choices_of
from pipelines.ranking import PRUNED, read
from pipelines.search_space import Space
from pipelines.search_study import JOURNAL, OWN, PRUNER, chosen_in, like, named, opened

if TYPE_CHECKING:
    from optuna.study import Study

TARGET = "hydra_plugins.graftwork_sweepers.Optuna"
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
        tuned: Mapping[str, Mapping[str, Any]],
    ) -> None:  # fmt: skip
        if trials < 1 or at_once < 1:
            raise UserError(f"hydra.sweeper: trials={trials}, at_once={at_once}: at least 1 each.")
        self.space, self.trials, self.at_once, self.direction = space, trials, at_once, direction
        self._seed, self._sampler = seed, sampler
        self._draws = {**tuned.get(sampler, {}), **sampler_options}
        self._pruner: list[Any] = [pruner, {**tuned.get(pruner, {}), **pruner_options}]
        self._drawn(0)
        named("pruner", *self._pruner)

    def _drawn(self, number: int, anything: bool = False) -> Any:
        """The sampler of a trial."""
        seed = {"seed": self._seed + number}
        if anything:
            return named("sampler", "random", seed)
        return named("sampler", self._sampler, {**seed, **self._draws})

    def setup(self, *, hydra_context: Any, task_function: Any, config: Any) -> None:
        self._folder = Path(config.hydra.sweep.dir)
        self._launcher = Plugins.instance().instantiate_launcher(
            hydra_context=composed_once(hydra_context), task_function=task_function, config=config
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
            study = opened(self._folder, self.direction)
            study.set_user_attr(PRUNER, self._pruner)
            earlier = self._cut(study) + self._failed(study, space)
            for begin in range(0, len(earlier), self.at_once):
                self._run(study, earlier[begin : begin + self.at_once], fixed)
            while (left := self.trials - len(chosen_in(study))) > 0:
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
            if like(study, own) is None:
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
        if (earlier := like(study, own)) is None:
            trial.set_user_attr(OWN, own)
            return trial.number, own
        # Of one that is under way nothing is known yet.
        state = earlier.state if earlier.state.is_finished() else type(earlier.state).FAIL
        value = earlier.value if state.name == "COMPLETE" else None
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
