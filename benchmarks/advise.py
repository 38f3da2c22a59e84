"""Is the advice good? Regret of the adviser against exhaustive tables: docs/advise.md.

Every way (network, size, strategy) of every task is run and tested. The adviser then gets a tenth
of the seconds that all of them took, in a folder with no features, and sees no test score. What
ways usually gain, which its rules begin with, is fitted on the tables of all other tasks; the fit
on all of them, gains.json in the folder, is what stands in graftwork.advising.rules.
"""

from __future__ import annotations

import json
import math
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from benchmarks.advise_gains import fitted
from benchmarks.defaults import read
from benchmarks.defaults_page import machine
from benchmarks.memory import line
from benchmarks.sweeping import Bench, Job, Say, environment
from benchmarks.tasks import ASIDE, STRATEGIES, Task, networks, tasks
from benchmarks.verdicts import Verdict, published
from graftwork.advising.rules import Way
from graftwork.config.errors import UserError
from graftwork.reporting.numbers import duration
from graftwork.storage.artifacts import Artifacts
from graftwork.storage.files import write_json
from pipelines.advice_candidates import on_imagenet

SIZES = (48, 64)  # px
SHARE = 0.1  # of the exhaustive cost
CHOSEN_BY = ("adviser", "always lp_ft on the best ImageNet network", "always fine_tune on it",
           "a random way", "best held-out score of all", "best probe")  # fmt: skip

TOP = f"""\
# Is the advice good?

Networks x sizes ({", ".join(map(str, SIZES))} px) x strategies, all of them run and tested. Regret:
points of test top-1 between the best way of a table and what was chosen. The adviser had
{SHARE:.0%} of the seconds of each table, no features stored, no test score, and gains that were
fitted on the other tasks. Optuna with the same minutes is left out: it has not been run.

"""


@dataclass(frozen=True)
class Table:
    """All ways of a task."""

    task: Task
    top1: dict[Way, float]  # of the test, by way
    held_out: dict[Way, float]  # selection scores
    right: dict[Way, np.ndarray]  # which pictures of the test are recognised
    seconds: float


@dataclass(frozen=True)
class Outcome:
    """One task."""

    table: Table
    advised: Way | None  # None: there was no time for anything
    tried: bool  # the advised one, by the adviser
    took: float  # of the adviser, over its budget: 1 is all of it
    taus: Mapping[str, float]

    def regrets(self) -> list[float]:
        """By how much each of `CHOSEN_BY` is below the best way of the table; shares."""
        top1, held = self.table.top1, self.table.held_out
        imagenet = on_imagenet(sorted({way.network for way in top1}))
        trusted = max(imagenet, key=lambda word: imagenet[word])
        probes = [way for way in held if way.strategy == STRATEGIES[0]]
        found = [
            # Without advice, or where what is advised fails, nothing is recognised.
            top1.get(self.advised, 0.0) if self.advised else 0.0,
            top1[Way(trusted, SIZES[-1], "lp_ft")],
            top1[Way(trusted, SIZES[-1], "fine_tune")],
            statistics.fmean(top1.values()),
            top1[max(held, key=lambda way: held[way])],
            top1[max(probes, key=lambda way: held[way])],
        ]
        return [max(top1.values()) - one for one in found]


def jobs(task: Task, network: str) -> list[Job]:
    """Every way of a network."""
    shared = (*task.overrides, f"model={network}", *ASIDE)
    return [
        Job(f"{task.name}/{network}", shared, (("model.input_size", str(px)), ("transfer", name)))
        for px in SIZES
        for name in STRATEGIES
    ]


def tables(
    bench: Bench, task_names: Sequence[str], network_names: Sequence[str], say: Say
) -> Iterator[Table]:
    """Runs what is not finished, and reads all."""
    for task in tasks(task_names):
        asked = {
            Way(word, int(job.own[0][1]), job.own[1][1]): job
            for word in networks(network_names)
            for job in jobs(task, word)
        }
        places = bench.run(list(asked.values()), say)
        found = {}
        for way, job in asked.items():
            as_told = Job(job.sweep, job.shared, (job.own[1], ("seed", "0")))
            found[way] = read(task, way.network, as_told, places[job])
        top1 = {way: one.top1 for way, one in found.items() if one.top1 is not None}
        held = {way: one.selected for way, one in found.items() if one.selected is not None}
        right = {way: _right(places[asked[way]]) for way in top1}
        yield Table(task, top1, held, right, sum(one.seconds or 0.0 for one in found.values()))


def _right(place: Path | None) -> np.ndarray:
    """Which pictures of the test a job recognised, in the order of their content."""
    assert place is not None, "it has a test score"
    said = pd.read_parquet(Artifacts.at(place).predictions).sort_values("sha256")
    return np.asarray(said["class"] == said["predicted"])


def outcomes(bench: Bench, known: Sequence[Table], say: Say) -> Iterator[Outcome]:
    """Asks the adviser about each table, with what the others say of gains.

    Raises:
        UserError: there is one table alone.
    """
    if len(known) < 2:
        raise UserError("advise: gains are fitted on other tasks. Name two or more: --tasks.")
    write_json(bench.folder / "gains.json", asdict(fitted([t.right for t in known])))
    for table in known:
        folder = bench.folder / "advised" / table.task.name
        folder.mkdir(parents=True, exist_ok=True)
        others = [t.right for t in known if t is not table]
        if not (folder / "done.json").is_file():
            write_json(folder / "gains.json", asdict(fitted(others)))
        words = list(dict.fromkeys(way.network for way in table.top1))
        advice, took = advised(folder, table.task, words, table.seconds, say)
        taus = {one["ranking"]: one["tau"] for one in advice.get("rankings", ())}
        chosen = advice.get("chosen", {"way": None, "tried": False})
        way = Way(**chosen["way"]) if chosen["way"] else None
        yield Outcome(table, way, chosen["tried"], took, taus)


def advised(
    folder: Path, task: Task, words: Sequence[str], exhaustive: float, say: Say
) -> tuple[dict[str, Any], float]:
    """The advice, and its seconds over its budget; what is there is not asked for again."""
    budget = round(SHARE * exhaustive)
    done = folder / "done.json"
    command = [
        sys.executable,
        "-m",
        "pipelines.advise",
        *task.overrides,
        f"budget={budget}s",
        "gains=gains.json",
    ]
    command += [f"model={','.join(words)}", f"transfer={','.join(STRATEGIES[1:])}"]
    command += [f"model.input_size={','.join(map(str, SIZES))}"]
    if not done.is_file():
        say(f"{task.name}: advice for {duration(budget)}")
        for part in ("data/raw", "data/weights", "store/downloads"):  # no features, no photos
            link = folder / part
            link.parent.mkdir(parents=True, exist_ok=True)
            if not link.exists():
                link.symlink_to((folder.parents[1] / part).resolve())
        begun = time.perf_counter()
        with (folder / "log.txt").open("w") as log:
            subprocess.run(
                command, cwd=folder, env=environment(), stdout=log, stderr=log, check=False
            )
        seconds = time.perf_counter() - begun
        paths = list(folder.glob("runs/advise/*/*/advice.json"))
        advice = json.loads(paths[0].read_text("utf-8")) if paths else {}
        write_json(done, {"advice": advice, "seconds": seconds, "budget": budget})
    known = json.loads(done.read_text("utf-8"))
    return known["advice"], known["seconds"] / known["budget"]


def verdicts(found: Sequence[Outcome]) -> list[Verdict]:
    """The bars."""
    ours, theirs = zip(*((one.regrets()[0], one.regrets()[1]) for one in found), strict=True)
    median, worst = statistics.median(ours), max(a - b for a, b in zip(ours, theirs, strict=True))
    late = max(one.took for one in found)
    return [
        Verdict("median regret of the adviser, at most 1 point", f"{100 * median:.2f}",
                median <= 0.01),
        Verdict(f"behind {CHOSEN_BY[1]}, at most 2 points", f"{100 * worst:+.2f}", worst <= 0.02),
        Verdict("longest over its budget, at most 1.10", f"{late:.2f}", late <= 1.1),
    ]  # fmt: skip


def advise(
    folder: Path, task_names: Sequence[str], network_names: Sequence[str], page: Path, say: Say
) -> int:
    """Runs, writes the page (in docs/ only where all was asked for) and says which bars are met."""
    bench = Bench.at(folder)
    known = list(tables(bench, task_names, network_names, say))
    found = list(outcomes(bench, known, say))
    whole = None if task_names or network_names else page
    parts = {"--tasks": task_names, "--networks": network_names}
    part = " ".join(f"{key} {' '.join(names)}" for key, names in parts.items() if names)
    return published(written(found, part), verdicts(found), bench.folder, whole, page.name, say)


def written(found: Sequence[Outcome], part: str = "") -> str:
    """The page.

    Args:
        part: of all, that was asked for; in words of the command line.
    """
    regrets = [one.regrets() for one in found]
    medians = [statistics.median(column) for column in zip(*regrets, strict=True)]
    rankings = sorted({name for one in found for name in one.taus})
    rows, taus = [], []
    for one, regret in zip(found, regrets, strict=True):
        table, top1 = one.table, one.table.top1
        best = max(top1, key=lambda way: top1[way])
        chosen = _words(one.advised) + ", not trained" * (one.advised is not None and not one.tried)
        about = [_words(best), f"{100 * top1[best]:.1f}", chosen]
        costs = [f"{table.seconds:.0f}", f"{one.took:.2f}"]
        rows.append([table.task.name, *about, *map(_points, regret), *costs])
        taus.append([table.task.name, *(f"{one.taus.get(n, math.nan):+.2f}" for n in rankings)])
    head = ("task", "best way", "its top-1", "advised", *CHOSEN_BY, "seconds of all", "of budget")
    rows.append(["**median**", "", "", "", *map(_points, medians), "", ""])
    met = {True: "met", False: "**missed**"}
    bars = [[met[one.met], one.what, one.found] for one in verdicts(found)]
    parts = [
        _table(head, rows),
        "Rankings before training, weighted tau with what was measured:\n",
        _table(("task", *rankings), taus),
        _table(("", "bar", "found"), bars),
        f"Written by `{f'python -m benchmarks advise {part}'.strip()}`; {machine()}.\n",
    ]
    return TOP + "\n".join(parts)


def _points(share: float) -> str:
    return f"{100 * share:.1f}"


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    return "\n".join(map(line, (head, ["---"] * len(head), *rows))) + "\n"


def _words(way: Way | None) -> str:
    if way is None:
        return "nothing: no time"
    return f"{way.strategy} {way.network} {way.size}"
