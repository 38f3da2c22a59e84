"""The learning curves of a sweep's jobs in one picture.

Drawn as in figure 6 of He et al. (2015): colours are what differs, thin lines are training error,
bold ones test error (validation error where no test curve was kept). Jobs that differ in nothing
but the seed are one line, their mean, with a band from the lowest to the highest of them.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from markupsafe import Markup

from graftwork.reporting.charts import (
    SERIES,
    Spec,
    colour,
    field,
    heading,
    layer,
    nominal,
    panel,
    standalone,
    ticked,
    told,
    vega_lite,
)
from graftwork.reporting.numbers import percent
from graftwork.reporting.training_curves import read_history
from graftwork.storage.artifacts import Artifacts
from graftwork.storage.files import read_receipt

FILE = "curves.svg"
PANELS = 4  # with more values than this, the first swept key makes no panels


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
    tone: str  # its colour's name
    epochs: list[float]
    mean: list[float]
    low: list[float]
    high: list[float]

    @property
    def label(self) -> str:
        return f"{self.series} {self.split} {percent(self.mean[-1])}".strip()


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
        facts = read_receipt(path, "Its curve is left out.")
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
    hidden = max(len(series) for series in members.values()) - len(SERIES)
    seeds = max(len(group) for series in members.values() for group in series.values())
    spec = {
        "title": heading("Error by epoch", _note(splits, seeds, hidden)),
        "hconcat": [_panel(title, curves) for title, curves in drawn.items()],
        # One scale of errors and one of epochs; each diagram has a legend of its own.
        "resolve": {"scale": {"x": "shared", "y": "shared", "color": "independent"}},
    }
    return vega_lite(spec, "Error by epoch of every job")


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
    pairs = zip(series.items(), SERIES, strict=False)
    return [_mean(name, split, tone, group) for (name, group), tone in pairs for split in splits]


def _mean(name: str, split: str, tone: str, group: Sequence[Job]) -> Curve:
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
    return Curve(name, split, tone, epochs, mean.tolist(), low.tolist(), high.tolist())


def _panel(title: str, curves: Sequence[Curve]) -> Spec:
    """One diagram; its legend names each curve with its last value, the largest error first."""
    shown = sorted(curves, key=lambda curve: -curve.mean[-1])
    rows = [
        {"epoch": epoch, "error": mean, "low": low, "high": high, "about": curve.label}
        | {"thin": curve.split == "train"}
        for curve in curves
        for epoch, mean, low, high in zip(
            curve.epochs, curve.mean, curve.low, curve.high, strict=True
        )
    ]
    names = [curve.label for curve in shown]
    colours = {"domain": names, "range": [colour(curve.tone) for curve in shown]}
    legend = {"symbolType": "stroke", "symbolSize": 260, "symbolStrokeWidth": 2}
    legend |= {"symbolOpacity": 1}  # not that of the band
    thin = {"condition": {"test": "datum.thin", "value": 1}, "value": 2.5}
    band = layer("area", {"opacity": 0.14}, y=field("low"), y2={"field": "high"})
    seeds = {"transform": [{"filter": "datum.low < datum.high"}]}
    bands = [{**band, **seeds}] if any(curve.low != curve.high for curve in curves) else []
    return panel(
        rows,
        (360, 340),
        [
            *bands,
            told("line", y=field("error", axis=ticked(True)), strokeWidth=thin),
        ],
        title,
        color=nominal("about", scale=colours, legend=legend),
        x=field(
            "epoch",
            title="epoch",
            axis={"tickMinStep": 1, "format": "d"},
            scale={"nice": False},
        ),
    )


def _note(splits: Sequence[str], seeds: int, hidden: int) -> str:
    other = {"test": "bold: test", "val": "bold: validation"}.get(splits[-1])
    parts = ["thin: training (with its augmentation)", *([other] if other else [])]
    if seeds > 1:
        parts.append(f"mean of {seeds} seeds, band: lowest to highest")
    if hidden > 0:
        parts.append(f"{hidden} more not drawn")
    return "; ".join(parts)
