"""Studies of strategies: which are best, and where. docs/NAME.md shows what was found.

A study is a grid of conditions, strategies and seeds at equal budget: every strategy that trains
passes over the pictures equally often; a head on stored features takes what it takes. What is
expected is written down before it runs.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from benchmarks.sweeping import Bench, Job, Say, composed, environment
from benchmarks.tasks import ASIDE
from graftwork.config.errors import UserError, unknown
from pipelines.configurations import Configuration, configurations
from pipelines.overrides import CONF
from pipelines.ranking import Job as Ranked
from pipelines.ranking import Ranking, jobs

EPOCHS = 12  # of every strategy that trains
BASELINES = ("linear_probe", "fine_tune")
SEEDS = (0, 1, 2)
FEW = ("linear_probe", "knn", "fine_tune", "lp_ft", "l2_sp", "bss", "lora")
# What asks for a model of an earlier run, or for a network that is cut, has studies of its own.
ELSEWHERE = ("two_hop", "distil", "early_layers_custom_top")


@dataclass(frozen=True)
class Condition:
    """Data and network, as overrides."""

    name: str  # of its folder, and in tables
    overrides: tuple[str, ...]
    amount: int | None = None  # labelled pictures a class, where conditions differ in it
    earlier: tuple[str, ...] = ()  # overrides of a first hop, from which `two_hop` starts


@dataclass(frozen=True)
class Study:
    """A grid."""

    name: str
    title: str
    expected: str  # before it was run
    conditions: tuple[Condition, ...]
    strategies: tuple[str, ...]
    seeds: tuple[int, ...] = SEEDS


@dataclass(frozen=True)
class Found:
    """What a condition gave."""

    condition: Condition
    configurations: list[Configuration]
    failed: list[str]  # overrides of jobs that did not finish


def named_strategies() -> tuple[str, ...]:
    """Every strategy of conf/transfer that needs nothing but data and a network."""
    found = sorted(path.stem for path in (CONF / "transfer").glob("*.yaml"))
    return tuple(name for name in found if name not in ELSEWHERE)


def studies() -> dict[str, Study]:
    """All of them, by name."""
    found = (_strategy_table(), _few_labels(), _label_fraction(), _two_hop())
    return {study.name: study for study in found}


def _strategy_table() -> Study:
    conditions = tuple(
        Condition(network, ("dataset=groceries", f"model={network}", "model.input_size=64"))
        for network in ("efficientnet_lite0", "mobilenetv2")
    )
    return Study(
        "strategy_table",
        "Every strategy on the groceries, at equal budget",
        "lp_ft and its like are best; a few points separate the strategies that train the later "
        "groups; normalisation or biases alone lie between probe and fine-tuning; a network from "
        "scratch is far behind.",
        conditions,
        named_strategies(),
    )


def _few_labels() -> Study:
    shared = ("dataset=groceries", "model=efficientnet_lite0", "model.input_size=64")
    conditions = [
        Condition(f"{count}", (*shared, f"dataset.splits.train_per_class={count}"), count)
        for count in (5, 10, 25)
    ]
    return Study(
        "few_labels",
        "Where does fine-tuning overtake the probe?",
        "With 5 photos a class the probe is as good as fine-tuning, with all photos it is not. "
        "Penalties (l2_sp, bss) help with few labels and not with many.",
        (*conditions, Condition("all", shared, 52)),
        FEW,
    )


def _label_fraction() -> Study:
    shared = (
        *("dataset=cifar10", "model=efficientnet_lite0", "model.input_size=96"),
        "dataset.splits.val_fraction=0",
    )
    conditions = tuple(
        Condition(
            f"{count}",
            (*shared, "dataset.limit_per_class=500", f"dataset.splits.train_per_class={count}"),
            count,
        )
        for count in (20, 100, 500)
    )
    return Study(
        "label_fraction",
        "CIFAR-10 with 20, 100 and 500 labels a class",
        "Fine-tuning overtakes the probe between 20 and 100 labels a class.",
        conditions,
        ("linear_probe", "fine_tune", "lp_ft"),
        (0, 1),
    )


def _two_hop() -> Study:
    shared = ("model=efficientnet_lite0", "model.input_size=64")
    first = {
        "after_cifar10": ("dataset=cifar10", "dataset.limit_per_class=500"),
        "after_coarse_groceries": ("dataset=groceries", "dataset.granularity=coarse"),
    }
    return Study(
        "two_hop",
        "Two hops against one: groceries, 14 classes",
        "After the coarse classes of the same groceries two hops are a little better than one; "
        "after CIFAR-10 they are not.",
        tuple(
            Condition(name, ("dataset=groceries", *shared), earlier=(*overrides, *shared))
            for name, overrides in first.items()
        ),
        ("linear_probe", "lp_ft", "two_hop"),
        (0, 1),
    )


def asked(name: str) -> Study:
    """Raises UserError for a name that is none."""
    known = studies()
    if name not in known:
        raise unknown("study", name, list(known))
    return known[name]


def grid(study: Study, condition: Condition, folder: Path) -> list[Job]:
    """The jobs of a condition.

    Args:
        folder: of the study, below which the first hops are.
    """
    first = (f"transfer.start.path={_first_hop(folder, condition)}",)
    further = {"two_hop": first} if condition.earlier else {}
    budget = {
        strategy: further.get(strategy, ()) + _budget(condition, strategy, further)
        for strategy in study.strategies
    }
    return [
        Job(
            condition.name,
            (*condition.overrides, *budget[strategy], *ASIDE),
            (("transfer", strategy), ("seed", str(seed))),
        )
        for strategy in study.strategies
        for seed in study.seeds
    ]


def _first_hop(folder: Path, condition: Condition) -> Path:
    return folder.absolute() / "first" / condition.name


def hop(condition: Condition, folder: Path, say: Say) -> None:
    """Runs a condition's first hop, unless its model is there.

    Raises:
        UserError: it failed.
    """
    place = _first_hop(folder, condition)
    if not condition.earlier or (place / "model" / "model.json").is_file():
        return
    say(f"first hop: {' '.join(condition.earlier)}")
    command = [sys.executable, "-m", "pipelines.experiment", *condition.earlier]
    command += [*ASIDE, f"transfer.epochs={EPOCHS}", f"hydra.run.dir={place}"]
    log = place.with_suffix(".log")
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("w") as file:
        done = subprocess.run(command, cwd=folder, env=environment(), stdout=file, stderr=file)
    if done.returncode:
        raise UserError(f"study: the first hop of {condition.name} failed; see {log}")


def _budget(
    condition: Condition, strategy: str, further: Mapping[str, tuple[str, ...]]
) -> tuple[str, ...]:
    shared = (*condition.overrides, *further.get(strategy, ()))
    job = Job("", shared, (("transfer", strategy),))
    (params,) = composed([job])
    trains = params["transfer"]["epochs"] > 0
    return (f"transfer.epochs={EPOCHS}", "transfer.least_steps=0") if trains else ()


def run(study: Study, folder: Path, say: Say) -> list[Found]:
    """Runs what is not finished in the folder; what each condition gave."""
    bench = Bench.at(folder)
    for condition in study.conditions:
        hop(condition, bench.folder, say)
    grids = {condition: grid(study, condition, folder) for condition in study.conditions}
    places = bench.run([job for jobs_ in grids.values() for job in jobs_], say)
    found = []
    for condition, wanted in grids.items():
        done = {job: place for job in wanted if (place := places[job])}
        failed = [" ".join(job.overrides) for job in wanted if job not in done]
        rows = [_read(job, place) for job, place in done.items()]
        found.append(Found(condition, configurations(Ranking("", rows), BASELINES), failed))
    return found


def _chosen(conditions: Sequence[Condition], names: Sequence[str]) -> tuple[Condition, ...]:
    known = [condition.name for condition in conditions]
    if wrong := [name for name in names if name not in known]:
        raise unknown("--networks", wrong[0], known)
    return tuple(one for one in conditions if not names or one.name in names)


def _read(job: Job, place: Path) -> Ranked:
    (read,) = jobs(place)
    return replace(read, own=tuple(f"{key}={value}" for key, value in job.own))


def study(
    name: str,
    folder: Path,
    docs: Path,
    say: Say,
    seeds: Sequence[int] = (),
    conditions: Sequence[str] = (),
) -> int:
    """Runs a study, prints and writes its page.

    Args:
        seeds: fewer than the study's; the page in docs/ then stays.
        conditions: names of some; likewise.

    Raises:
        UserError: a name is unknown.

    Returns:
        The exit code: 1 where a job failed.
    """
    from benchmarks.studies_page import written

    whole = asked(name)
    part = replace(
        whole,
        seeds=tuple(seeds) or whole.seeds,
        conditions=_chosen(whole.conditions, conditions),
    )
    found = run(part, folder, say)
    text, pictures = written(part, found)
    for place in (folder, *((docs,) if part == whole else ())):
        (place / f"{name}.md").write_text(text, encoding="utf-8")
        for picture, svg in pictures.items():
            (place / picture).write_text(svg, encoding="utf-8")
        say(f"written: {place / name}.md")
    say(text)
    return int(any(one.failed for one in found))
