"""Forecast against measured peak memory of training, network by network.

Each measurement is a fresh process that trains a few steps through Lightning, as every training
here does: random weights, pictures in memory. Measured is the largest resident memory above that
after all imports and one step of a tiny network; where memory is placed is chance, so that two runs
of this benchmark differed by up to 10 % a pair.
"""

from __future__ import annotations

import gc
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.workplace import NEW_HEAD, parameters
from graftwork.experiment import Experiment

TOLERANCE = 0.3
CLASSES = 10
MIB = 2**20


@dataclass(frozen=True)
class Pair:
    """A network and a way of training it."""

    batch: int
    precision: str
    overrides: tuple[str, ...]
    tuned: bool = False  # whether profiling/memory.py's GAPS was chosen on it


def timm(architecture: str) -> tuple[str, ...]:
    return "model=timm", f"model.architecture={architecture}"


def px(side: int) -> str:
    return f"model.input_size={side}"


def from_group(first: int) -> tuple[str, ...]:
    trained = "transfer/trainable=from_group", f"transfer.trainable.first={first}"
    return "transfer=fine_tune", *trained


PAIRS = (
    Pair(16, "fp32", (*timm("resnet18"), "transfer=from_scratch", px(128)), tuned=True),
    Pair(16, "fp32", ("model=resnet50", "transfer=fine_tune", px(160)), tuned=True),
    Pair(16, "bf16", ("model=resnet50", "transfer=from_scratch", px(128)), tuned=True),
    Pair(32, "fp32", ("model=mobilenetv2", "transfer=lp_ft", px(128)), tuned=True),
    Pair(32, "bf16", ("model=efficientnet_lite0", "transfer=lp_ft", px(160)), tuned=True),
    Pair(16, "fp32", (*timm("vit_tiny_patch16_224"), "transfer=fine_tune"), tuned=True),
    Pair(32, "fp32", (*timm("resnet34"), *from_group(4), px(160)), tuned=True),
    Pair(16, "fp32", (*timm("vgg11"), "transfer=from_scratch", px(96)), tuned=True),
    Pair(16, "bf16", ("model=vit_small", "transfer=lp_ft"), tuned=True),
    Pair(16, "fp32", (*timm("convnext_atto"), "transfer=fine_tune", px(160)), tuned=True),
    Pair(16, "fp32", (*timm("swin_tiny_patch4_window7_224"), "transfer=lp_ft"), tuned=True),
    Pair(16, "bf16", (*timm("densenet121"), "transfer=from_scratch", px(128))),
    Pair(32, "fp32", (*timm("mobilenetv3_large_100"), "transfer=from_scratch", px(128))),
    Pair(16, "fp32", (*timm("efficientnet_b0"), "transfer=fine_tune", px(160))),
    Pair(24, "bf16", (*timm("resnext50_32x4d"), "transfer=lp_ft", px(160))),
    Pair(24, "fp32", (*timm("regnety_004"), *from_group(2), px(192))),
    Pair(24, "fp32", (*timm("resnet26"), "transfer=lp_ft", px(160))),
    Pair(16, "bf16", (*timm("deit3_small_patch16_224"), "transfer=fine_tune")),
    Pair(16, "fp32", (*timm("convnext_femto"), "transfer=from_scratch", px(160))),
)  # fmt: skip


@dataclass(frozen=True)
class Row:
    """What was forecast and what was measured, bytes."""

    pair: Pair
    experiment: Experiment
    side: int
    forecast: int
    measured: int

    @property
    def ratio(self) -> float:
        return self.forecast / self.measured

    def cells(self) -> list[str]:
        transfer = self.experiment.transfer
        how = {"All": "", "LaterGroups": ""}.get(type(transfer.trainable).__name__, "from a group")
        return [
            self.experiment.model.name,
            f"{transfer.name}, {how}" if how else transfer.name,
            str(self.pair.batch),
            str(self.side),
            self.pair.precision,
            f"{self.forecast / MIB:.0f}",
            f"{self.measured / MIB:.0f}",
            f"{self.ratio:.2f}",
            "yes" if self.pair.tuned else "no",
        ]


def row(pair: Pair, folder: Path) -> Row:
    """Forecasts, then measures."""
    from graftwork.profiling.measuring import training_peak
    from graftwork.profiling.memory import forecast

    experiment = parameters(
        folder, *pair.overrides, *NEW_HEAD, "trainer.accelerator=cpu",
        f"trainer.batch_size={pair.batch}", f"trainer.precision={pair.precision}",
    )  # fmt: skip
    classifier = experiment.model.build(CLASSES, None)
    side = classifier.input_spec.size
    expected = forecast(
        classifier, experiment.transfer, batch_size=pair.batch, precision=pair.precision
    )
    del classifier
    gc.collect()
    measured = training_peak(
        experiment.model, experiment.transfer, experiment.trainer, num_classes=CLASSES
    )
    return Row(pair, experiment, side, expected.total, measured)


HEAD = (
    "network", "strategy", "batch", "px", "precision", "forecast, MiB", "measured, MiB", "ratio",
    "gaps chosen on it",
)  # fmt: skip


def line(cells: Iterable[str]) -> str:
    """A line of a Markdown table."""
    return f"| {' | '.join(cells)} |"


def forecast_against_measured(folder: Path, pairs: tuple[Pair, ...] = PAIRS) -> Iterator[str]:
    """The table, line by line as it grows, and how far off the forecasts are.

    Raises:
        SystemExit: code 1 if any is further off than the tolerance.
    """
    yield line(HEAD)
    yield line("---" for _ in HEAD)
    rows = []
    for pair in pairs:
        rows.append(row(pair, folder))
        yield line(rows[-1].cells())
    yield from errors(rows)
    beyond = [one.experiment.model.name for one in rows if abs(one.ratio - 1) > TOLERANCE]
    if beyond:
        raise SystemExit(f"beyond {TOLERANCE:.0%}: {', '.join(beyond)}")


def errors(rows: Sequence[Row]) -> Iterator[str]:
    """Mean and largest error, of the pairs that GAPS was chosen on and of the others."""
    for tuned, words in ((True, "chosen on"), (False, "tested on")):
        found = [abs(one.ratio - 1) for one in rows if one.pair.tuned == tuned]
        if found:
            mean, most = sum(found) / len(found), max(found)
            yield f"{words} {len(found)} pairs: off by {mean:.0%} on average, {most:.0%} at most"
