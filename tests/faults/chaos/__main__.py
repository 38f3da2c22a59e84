"""Faults at random, real ones: `make chaos`, which prints the seed that repeats them.

Kills by -9 of processes that are forked from this one, disks that are full, stores and servers that
go away; with `--fuzz MINUTES` configurations and pictures of chance instead. What is counted:
trials that ended as they should.
"""

from __future__ import annotations

import argparse
import json
import random
import tempfile
import time
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from faults.chaos import checkpoints, fuzz, metric, stages, store, sweeps, trainings
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
    parser.add_argument("--fuzz", type=float, metavar="MINUTES", help="fuzzing alone, so long each")
    options = parser.parse_args()
    if wrong := set(options.subjects) - set(SUBJECTS):
        parser.error(f"unknown: {', '.join(sorted(wrong))}. Legal: {legal}.")
    print(f"seed {options.seed} (repeats it: make chaos ARGS='--seed {options.seed}')")
    torch.set_num_threads(1)
    if options.fuzz:
        found = measured({"fuzz": fuzz.rows}, options.seed, options.fuzz)
    else:
        chosen = {subject: SUBJECTS[subject] for subject in options.subjects}
        found = measured(chosen, options.seed, options.kills)
    if options.json:
        options.json.write_text(json.dumps(found, indent=1) + "\n")
    table = Table("what", "trials", "as they should be", "seconds")
    for row in found:
        what = f"{row['what']} ({row['note']})" if row["note"] else row["what"]
        table.add_row(what, *(str(row[key]) for key in ("trials", "held", "seconds")))
    Console(width=120).print(table)
    raise SystemExit(int(any(row["held"] != row["trials"] for row in found)))


def measured(subjects: Mapping[str, Any], seed: int, much: float) -> list[dict[str, Any]]:
    """Rows of these subjects, each tried so much."""
    found: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory(prefix="chaos-") as place, quiet():
        get_ready()
        for subject, rows in subjects.items():
            folder = Path(place) / subject
            folder.mkdir()
            begun = time.monotonic()
            for row in rows(Ground(seed, folder), much):
                seconds = round(time.monotonic() - begun)
                found.append({"subject": subject, **asdict(row), "seconds": seconds})
                begun = time.monotonic()
    return found


if __name__ == "__main__":
    main()
