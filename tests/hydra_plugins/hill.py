"""A sweeper that optimises, where Hydra looks for installed ones: `hydra/sweeper=hill`."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

from hydra.core.config_store import ConfigStore
from hydra.core.plugins import Plugins
from hydra.plugins.sweeper import Sweeper

CONFIG = {"_target_": "hydra_plugins.hill.Hill", "direction": None, "start": 6}
ConfigStore.instance().store(group="hydra/sweeper", name="hill", node=CONFIG, provider="tests")


class Hill(Sweeper):
    """Looks at both neighbours of a seed and goes on from the best; writes found.json.

    Without a direction it looks for the smallest: whoever wants the largest must know.
    """

    def __init__(self, direction: str | None, start: int) -> None:
        self.sign, self.seed = (1 if direction == "maximize" else -1), start

    def setup(self, *, hydra_context: Any, task_function: Any, config: Any) -> None:
        arguments = {"hydra_context": hydra_context, "task_function": task_function}
        self.launcher = Plugins.instance().instantiate_launcher(config=config, **arguments)

    def sweep(self, arguments: list[str]) -> None:
        scores: dict[int, float] = {}
        while not any(math.isnan(score) for score in scores.values()):  # a job has failed
            around = [self.seed + step for step in (-1, 0, 1) if self.seed + step not in scores]
            jobs = [[*arguments, f"seed={seed}"] for seed in around]
            done = self.launcher.launch(jobs, initial_job_idx=len(scores))
            scores |= {s: self.sign * j.return_value for s, j in zip(around, done, strict=True)}
            best = max(scores.values())
            if scores[self.seed] == best:
                found = {"seed": self.seed, "best": self.sign * best}
                Path("found.json").write_text(json.dumps(found))
                break
            self.seed = max(scores, key=scores.__getitem__)
