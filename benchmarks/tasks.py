"""Tasks on which the default strategies are held: nine data sets and parts of them.

Constants of the defaults (rates, epochs, shares) may be tuned on one half of the tasks; whether
they hold is judged on the other half, which nothing is tuned on.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from graftwork.config.errors import unknown

TUNED, HELD_BACK = "tuned", "held back"
NETWORKS = ("efficientnet_lite0", "efficientnet_lite1", "mobilenetv2", "vgg19")
STRATEGIES = ("linear_probe", "lp_ft", "fine_tune")
SEEDS = (0, 1)
# A hundred to test on; no val split, which would be larger than train where that is made small.
PART = ("dataset.limit_per_class=100", "dataset.splits.val_fraction=0")
# All jobs are tested, for the page alone; models are not kept.
ASIDE = ("evaluation.test_in_sweeps=all", "tracking.log_model=false")


@dataclass(frozen=True)
class Task:
    """A data set, as a user would choose it, and how large networks see its pictures."""

    name: str  # of its folder
    words: str
    half: str  # TUNED or HELD_BACK
    overrides: tuple[str, ...]
    size: int  # px
    vgg_size: int  # px of vgg19, which takes forty times the arithmetic of the others

    def chosen(self, network: str) -> tuple[str, ...]:
        """The overrides of a network on this task; strategy and seed are left to say."""
        return (*self.overrides, f"model={network}", f"model.input_size={self.px(network)}", *ASIDE)

    def px(self, network: str) -> int:
        """Side of the pictures that a network sees here."""
        return self.vgg_size if network == "vgg19" else self.size


def _train(count: int) -> str:
    return f"dataset.splits.train_per_class={count}"


CIFAR, FASHION = ("dataset=cifar10", *PART), ("dataset=fashion_mnist", *PART)
PAIR = (
    *("dataset=cifar10", "dataset.classes=[cat,dog]"),
    *("dataset.limit_per_class=500", "dataset.splits.val_fraction=0"),
)

TASKS = (
    Task("groceries_fine", "groceries, 14 classes", TUNED, ("dataset=groceries",), 64, 48),
    Task("groceries_15", "groceries, 15 photos a class", TUNED,
         ("dataset=groceries", _train(15)), 64, 48),
    Task("cifar10_10", "CIFAR-10, 10 pictures a class", TUNED, (*CIFAR, _train(10)), 64, 48),
    Task("cat_dog", "CIFAR-10, cat or dog, 120 a class", TUNED, (*PAIR, _train(120)), 64, 48),
    Task("groceries_coarse", "groceries, 5 classes", HELD_BACK,
         ("dataset=groceries", "dataset.granularity=coarse"), 64, 48),
    Task("groceries_5", "groceries, 5 photos a class", HELD_BACK,
         ("dataset=groceries", _train(5)), 64, 48),
    Task("cifar10_100", "CIFAR-10, 100 pictures a class", HELD_BACK, CIFAR, 64, 48),
    Task("small_flowers", "flowers, 10 classes, 11 photos each", HELD_BACK,
         ("dataset=small_flowers",), 64, 48),
    Task("fashion_20", "Fashion-MNIST, 20 pictures a class", HELD_BACK,
         (*FASHION, _train(20)), 64, 48),
)  # fmt: skip


def tasks(names: Sequence[str]) -> tuple[Task, ...]:
    """The tasks of these names, in the order in which they stand here; all where none is named.

    Raises:
        UserError: for a name that is none.
    """
    _check("tasks", names, [task.name for task in TASKS])
    return tuple(task for task in TASKS if not names or task.name in names)


def networks(names: Sequence[str]) -> tuple[str, ...]:
    """The same for networks."""
    _check("networks", names, NETWORKS)
    return tuple(name for name in NETWORKS if not names or name in names)


def _check(what: str, names: Sequence[str], legal: Iterable[str]) -> None:
    legal = list(legal)
    if wrong := [name for name in names if name not in legal]:
        raise unknown(f"--{what}", wrong[0], legal)
