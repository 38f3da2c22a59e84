"""Faults at random, real ones: `make chaos`, which prints the seed that repeats them.

Kills by -9 of processes that are forked from this one, disks that are full, stores and servers that
go away. What is counted: trials that ended as they should.
"""

from __future__ import annotations

import argparse
import json
import random
import tempfile
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from faults.chaos import checkpoints, metric, stages, store, sweeps, trainings
from faults.chaos.ground import Ground, get_ready, quiet
from rich.console import Console
from rich.table import Table

SUBJECTS = {
    "trainings": trainings.rows,
    "checkpoints": checkpoints.rows,
    "store": store.rows,
    "sweeps": sweeps.rows,
    "stages": stages.rows,
    "metric": metric.rows,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    legal = "|".join(SUBJECTS)
    parser.add_argument("subjects", nargs="*", default=list(SUBJECTS), metavar=legal)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(2**32))
    parser.add_argument("--kills", type=int, default=50, help="of one process; 2/5 of two")
    parser.add_argument("--json", type=Path, help="where the rows are written, too")
    options = parser.parse_args()
    if wrong := set(options.subjects) - set(SUBJECTS):
        parser.error(f"unknown: {', '.join(sorted(wrong))}. Legal: {legal}.")
    print(f"seed {options.seed} (repeats it: make chaos ARGS='--seed {options.seed}')")
    torch.set_num_threads(1)
    found = measured(options.subjects, options.seed, options.kills)
    if options.json:
        options.json.write_text(json.dumps(found, indent=1) + "\n")
    table = Table("what", "trials", "as they should be", "seconds")
    for row in found:
        what = f"{row['what']} ({row['note']})" if row["note"] else row["what"]
        table.add_row(what, *(str(row[key]) for key in ("trials", "held", "seconds")))
    Console(width=120).print(table)
    raise SystemExit(int(any(row["held"] != row["trials"] for row in found)))


def measured(subjects: list[str], seed: int, kills: int) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory(prefix="chaos-") as place, quiet():
        get_ready()
        for subject in subjects:
            folder = Path(place) / subject
            folder.mkdir()
            begun = time.monotonic()
            for row in SUBJECTS[subject](Ground(seed, folder), kills):
                seconds = round(time.monotonic() - begun)
                found.append({"subject": subject, **asdict(row), "seconds": seconds})
                begun = time.monotonic()
    return found


if __name__ == "__main__":
    main()
