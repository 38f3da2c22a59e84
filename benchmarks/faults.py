"""docs/faults.md: what faults do to trainings, sweeps, stages and records, here and in stock parts.

Ours are the trials of `make chaos`; stock are Lightning and MLflow as they come, under the same.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from benchmarks.faults_page import written
from graftwork.config.errors import UserError

PROJECT = Path(__file__).parents[1]
SUBJECTS = ("stages", "trainings", "sweeps", "store", "metric", "checkpoints")
STOCK = ("stock_lightning", "stock_mlflow")
SEED = 11
AT_ONCE = 2  # subjects: much of each waits


def faults(folder: Path, docs: Path, say: Callable[[str], None], seed: int = SEED) -> int:
    """Runs all of it, says how far it is, and writes the page. Returns the exit code: 1 if any
    trial of ours did not end as it should.

    Args:
        folder: where each subject's rows are kept until all are there; those are not run again.

    Raises:
        UserError: a subject could not be run; the others have been.
    """
    folder.mkdir(parents=True, exist_ok=True)
    names = (*SUBJECTS, *STOCK)
    with ThreadPoolExecutor(AT_ONCE) as at:
        files = [at.submit(_measured, name, folder, seed, say) for name in names]
    found = {name: file.result() for name, file in zip(names, files, strict=True)}
    ours = [row for subject in SUBJECTS for row in found[subject]]
    stock = {**found["stock_lightning"], **found["stock_mlflow"]}
    (docs / "faults.md").write_text(written(ours, stock, seed))
    shutil.rmtree(folder)
    say(f"written: {docs / 'faults.md'}")
    return int(any(row["held"] != row["trials"] for row in ours))


def _measured(name: str, folder: Path, seed: int, say: Callable[[str], None]) -> Any:
    path, begun = folder / f"{name}.json", time.monotonic()
    if path.exists():
        return json.loads(path.read_text())
    words = ["faults.chaos", name, "--seed", str(seed), "--json", str(path)]
    words = [f"benchmarks.{name}", str(path), str(seed)] if name in STOCK else words
    places = [str(PROJECT / part) for part in ("src", ".", "tests")]
    told: Mapping[str, str] = {"PYTHONPATH": os.pathsep.join(places), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, "-m", *words], cwd=PROJECT, env={**os.environ, **told},
        capture_output=True, text=True,
    )  # fmt: skip
    if not path.exists():
        raise UserError(f"{name}: {done.stdout[-2000:]}{done.stderr[-2000:]}")
    said = [line for line in done.stdout.splitlines() if "DIFFERS" in line or "NOT THE" in line]
    say("\n".join([f"{name}: {time.monotonic() - begun:.0f} s", *said]))
    return json.loads(path.read_text())
