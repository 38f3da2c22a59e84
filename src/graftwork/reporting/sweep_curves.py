"""The learning curves of a sweep's jobs in one picture.

Drawn as in figure 6 of He et al. (2015): colours are what differs, thin lines are training error,
bold ones test error (validation error where no test curve was kept). Jobs that differ in nothing
but the seed are one line, their mean, with a band from the lowest to the highest of them.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from markupsafe import Markup

from graftwork.reporting.drawing import Scale, percent, render, standalone, text_width, ticks
from graftwork.reporting.training_curves import read_history
from graftwork.storage.artifacts import Artifacts

FILE = "curves.svg"
COLOURS = ("one", "two", "three", "four", "five", "six")  # classes of colours.css.jinja
PANELS = 4  # with more values than this, the first swept key makes no panels
WIDTH, TOP, BOTTOM, GAP = 360.0, 84.0, 424.0, 26.0  # px
LABEL, LINE = 11.0, 14.0  # px: font size of the labels, and their least distance
LEFT = 52.0  # px for the ticks' labels


@dataclass(frozen=True)
class Job:
    """One job: what was swept, and its curves."""

    settings: Mapping[str, str]
    history: Mapping[str, Sequence[float]]


@dataclass(frozen=True)
class Curve:
    """Error by epoch: the mean of jobs that differ in the seed alone."""

    series: str
    split: str  # train, or what stands against it
    colour: str
    epochs: list[float]
    mean: list[float]
    low: list[float]
    high: list[float]

    @property
    def label(self) -> str:
        return f"{self.series} {self.split} {percent(self.mean[-1])}".strip()


@dataclass(frozen=True)
class Panel:
    """One diagram, its scales, and where the labels of its curves stand."""

    title: str
    curves: list[Curve]
    x: Scale
    y: Scale
    labels: list[float]  # y in px, one a curve
    x_ticks: list[float]
    y_ticks: list[float]


def write(folder: Path, swept: Iterable[str]) -> Path | None:
    """Draws the curves of a sweep's jobs into its folder.

    Args:
        folder: of the sweep, with a `job.json` in every job's own.
        swept: the keys that differ between jobs, in the order of the command line.

    Returns:
        the picture; None where no job has a curve.
    """
    picture = draw(jobs(folder, list(swept)), list(swept))
    if picture is None:
        return None
    (folder / FILE).write_text(standalone(picture), encoding="utf-8")
    return folder / FILE


def jobs(folder: Path, swept: Sequence[str]) -> list[Job]:
    """The jobs that have training curves, in the order of their numbers."""
    found = []
    for path in folder.rglob("job.json"):
        facts = json.loads(path.read_text())
        pairs = (item.partition("=")[::2] for item in facts.get("overrides", ()))
        settings = {key: value for key, value in pairs if key in swept}
        history = read_history(Artifacts.at(path.parent).history)
        if np.isfinite(history.get("train/top1", [])).sum() > 1:
            found.append((facts.get("job") or 0, Job(settings, history)))
    return [job for _, job in sorted(found, key=lambda pair: pair[0])]


def draw(found: Sequence[Job], swept: Sequence[str]) -> Markup | None:
    """The picture; None for no jobs."""
    if not found:
        return None
    split = "test" if all(_has(job, "test") for job in found) else "val"
    splits = ["train", *([split] if all(_has(job, split) for job in found) else [])]
    panel_key, series_keys = _layout(found, swept)
    members: dict[str, dict[str, list[Job]]] = {}
    for job in found:
        title = _words({panel_key: job.settings.get(panel_key, "")}) if panel_key else ""
        name = _words({key: job.settings.get(key, "") for key in series_keys})
        members.setdefault(title, {}).setdefault(name, []).append(job)
    drawn = {title: _curves(series, splits) for title, series in members.items()}
    hidden = max(len(series) for series in members.values()) - len(COLOURS)
    seeds = max(len(group) for series in members.values() for group in series.values())
    panels = _panels(drawn)
    return render(
        "sweep_curves.svg.jinja",
        panels=panels,
        width=panels[-1].x.end + _label_width(panels[-1].curves) + 12,
        bottom=BOTTOM,
        note=_note(splits, seeds, hidden),
    )


def _has(job: Job, split: str) -> bool:
    return bool(np.isfinite(job.history.get(f"{split}/top1", [math.nan])).any())


def _layout(found: Sequence[Job], swept: Sequence[str]) -> tuple[str, list[str]]:
    """Which key makes panels (none: ""), and which tell the lines of a panel apart."""
    keys = [key for key in swept if key != "seed"] or list(swept)
    panels = {job.settings.get(keys[0], "") for job in found} if keys else set()
    if len(keys) > 1 and 1 < len(panels) <= PANELS:
        return keys[0], keys[1:]
    return "", keys


def _words(settings: Mapping[str, str]) -> str:
    """`model=plain20` is plain20, `model.options.depth=56` is depth 56."""
    named = {key.lstrip("+").rpartition("."): value for key, value in settings.items()}
    return ", ".join(
        f"{leaf} {value}" if parent or leaf == "seed" else value
        for (parent, _, leaf), value in named.items()
    )


def _curves(series: Mapping[str, Sequence[Job]], splits: Sequence[str]) -> list[Curve]:
    pairs = zip(series.items(), COLOURS, strict=False)
    return [
        _mean(name, split, colour, group) for (name, group), colour in pairs for split in splits
    ]


def _mean(name: str, split: str, colour: str, group: Sequence[Job]) -> Curve:
    """Over the epochs that every job of the group has."""
    errors = [
        {
            epoch: 1 - value
            for epoch, value in zip(job.history["epoch"], job.history[f"{split}/top1"], strict=True)
            if math.isfinite(value)
        }
        for job in group
    ]
    epochs = sorted(set.intersection(*(set(found) for found in errors)))
    table = np.array([[found[epoch] for epoch in epochs] for found in errors])
    mean, low, high = table.mean(0), table.min(0), table.max(0)
    return Curve(name, split, colour, epochs, mean.tolist(), low.tolist(), high.tolist())


def _panels(drawn: Mapping[str, list[Curve]]) -> list[Panel]:
    """Side by side, on one scale of errors and one of epochs."""
    every = [curve for curves in drawn.values() for curve in curves]
    low, high = min(min(c.low) for c in every), max(max(c.high) for c in every)
    room = (high - low) * 0.04 or 0.05
    low, high = max(0.0, low - room), min(1.0, high + room)
    y = Scale(low, high, BOTTOM, TOP)
    first, last = min(c.epochs[0] for c in every), max(c.epochs[-1] for c in every)
    last = last if last > first else first + 1
    panels, left = [], LEFT
    for title, curves in drawn.items():
        x = Scale(first, last, left, left + WIDTH)
        whole = [tick for tick in ticks(first, last, 6) if tick == int(tick)]
        labels = spread([y(curve.mean[-1]) for curve in curves])
        panels.append(Panel(title, curves, x, y, labels, whole, ticks(low, high, 8)))
        left = x.end + _label_width(curves) + GAP + LEFT
    return panels


def _label_width(curves: Sequence[Curve]) -> float:
    return max(text_width(curve.label, LABEL) for curve in curves) + 8


def spread(wanted: Sequence[float]) -> list[float]:
    """Places nearest to the wanted ones, in their order, of which none are closer than LINE."""
    order = np.argsort(wanted, kind="stable")
    offsets = np.arange(len(wanted)) * LINE
    # Without the offsets, "no closer than LINE" is "never falling": pool neighbours that fall.
    pools: list[list[float]] = []
    for value in np.asarray(wanted)[order] - offsets:
        pools.append([value])
        while len(pools) > 1 and np.mean(pools[-2]) > np.mean(pools[-1]):
            last = pools.pop()
            pools[-1] += last
    level = [float(np.mean(pool)) for pool in pools for _ in pool]
    places = np.empty(len(wanted))
    places[order] = np.array(level) + offsets
    return places.tolist()


def _note(splits: Sequence[str], seeds: int, hidden: int) -> str:
    other = {"test": "bold: test", "val": "bold: validation"}.get(splits[-1])
    parts = ["thin: training (with its augmentation)", *([other] if other else [])]
    if seeds > 1:
        parts.append(f"mean of {seeds} seeds, band: lowest to highest")
    if hidden > 0:
        parts.append(f"{hidden} more not drawn")
    return "; ".join(parts)
