"""`make params`: composes conf/ into params.yaml, exactly as `dvc exp run -S` does.

python -m pipelines.params transfer=linear_probe seed=1
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from graftwork.experiment import Experiment
from pipelines.overrides import CONF, check_all
from pipelines.stage import reported


def write(path: Path, overrides: Sequence[str] = (), conf: Path = CONF) -> None:
    """Writes the composed configuration, by the function that DVC itself calls.

    Raises:
        UserError: for anything wrong in it; the file is left as it was.
    """
    check_all(overrides, Experiment.from_params, conf)
    from dvc.utils.hydra import compose_and_dump

    compose_and_dump(path, str(conf), None, "config", str(conf.parent), list(overrides))


def main() -> None:
    with reported():
        write(Path("params.yaml"), sys.argv[1:])
    print("params.yaml: written. `dvc repro` runs what it says.")


if __name__ == "__main__":
    main()
