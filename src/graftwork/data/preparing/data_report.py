"""What there is to know about a data set before training on it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from graftwork.data.manifest import OK, SPLITS
from graftwork.data.preparing import (
    duplicates,
    leakage,
    passed_over,
    several_labels,
    splits,
    without_labels,
)
from graftwork.data.preparing.counted import counted
from graftwork.data.preparing.listing import listed

CLASSES_SHOWN = 20
FILES_SHOWN = 5


def describe(
    divided: pd.DataFrame,
    said: pd.Series,
    classes: list[str],
    policy: str,
    beside: Mapping[str, Any],
    beside_unlabelled: Mapping[str, Any],
) -> dict[str, Any]:
    """The report, ready for JSON.

    Args:
        divided: one row a listed file, judged and divided.
        said: the split of each that the data gave, or None.
        classes: those that can be learned.
        policy: `dataset.leakage`.
        beside: what lies there besides pictures; see `passed_over`.
        beside_unlabelled: what lies beside the photos without labels: `LeftOut.receipt`.
    """
    new = without_labels.are(divided)
    unlabelled, divided = divided[new], divided[~new]
    usable = divided[divided["verdict"] == OK]
    counts = usable.groupby(["class", "split"]).size().unstack(fill_value=0)
    counts = counts.reindex(index=classes, columns=list(SPLITS), fill_value=0)
    present = [name for name in SPLITS if counts[name].any()]
    report = {
        "listed": len(divided),
        "usable": len(usable),
        "splits": {name: int(counts[name].sum()) for name in SPLITS},
        "made_splits": splits.made(usable.assign(split=said), usable["split"]),
        "classes": counts.to_dict("index"),
        "missing_classes": {n: list(counts.index[counts[n] == 0]) for n in present},
        "empty_classes": sorted(set(divided["class"]) - set(classes)),
        "several_labels": several_labels.several_labels(classes),
        "tiny_classes": _tiny(counts, present),
        "several_frames": int(usable["several_frames"].sum()),
        "turned": int(usable["turned"].sum()),
        "width": _spread(usable["width"]),
        "height": _spread(usable["height"]),
        **_left_out(divided),
        "same_picture": leakage.describe(divided),
        "beyond_train_per_class": int((divided["verdict"] == splits.BEYOND).sum()),
        "passed_over": dict(beside),
        "groups_in_several_splits": splits.straddling_groups(usable.assign(split=said)),
        "unlabelled": without_labels.describe(unlabelled, beside_unlabelled),
    }
    return {**report, "findings": _findings(report, policy)}


def _tiny(counts: pd.DataFrame, present: list[str]) -> dict[str, int]:
    """Classes with fewer pictures than there are splits: some split goes without."""
    total = counts.sum(axis=1)
    return {str(name): int(n) for name, n in total[total < len(present)].items()}


def _spread(values: pd.Series) -> dict[str, int]:
    named = {"min": 0.0, "median": 0.5, "max": 1.0}
    return {name: int(values.quantile(share)) for name, share in named.items()}


def _left_out(divided: pd.DataFrame) -> dict[str, Any]:
    """Every file that cannot count, by kind."""
    verdict = divided["verdict"]
    again = verdict == duplicates.IN_ONE_SPLIT
    across = verdict.str.startswith(duplicates.IN_TWO_SPLITS)
    conflicts = verdict.str.startswith(duplicates.CONFLICT)
    changed = verdict.str.startswith(leakage.IN_OTHER_BYTES)
    others = ~verdict.isin((OK, splits.BEYOND)) & ~again & ~across & ~conflicts & ~changed
    kinds = {
        "unreadable": others,
        "duplicates": again,
        "duplicates_across_splits": across,
        "conflicting_classes": conflicts,
    }
    return {kind: listed(divided[chosen]) for kind, chosen in kinds.items()}


def _findings(report: dict[str, Any], policy: str) -> list[str]:
    """What a person should know, in words."""
    count = {kind: report[kind]["count"] for kind in _LEFT_OUT}
    found = [
        f"{counted(count[kind], noun)} {text[count[kind] > 1]}"
        for kind, (noun, *text) in _LEFT_OUT.items()
        if count[kind]
    ]
    found += leakage.findings(report["same_picture"], policy)
    found += passed_over.findings(report["passed_over"])
    found += [
        f"{split}: no pictures of {_some(names)}."
        for split, names in report["missing_classes"].items()
        if names
    ]
    if report["empty_classes"]:
        found.append(f"No usable picture, so no class: {_some(report['empty_classes'])}.")
    if report["several_labels"]:
        found.append(several_labels.finding(report["several_labels"]))
    if report["tiny_classes"]:
        found.append(f"Fewer pictures than splits: {_some(list(report['tiny_classes']))}.")
    if groups := report["groups_in_several_splits"]:
        verb = "lies" if groups == 1 else "lie"
        found.append(f"{counted(groups, 'group')} {verb} in several splits of the data's own.")
    if made := report["made_splits"]:
        found.append(f"Made here, stratified by class: {', '.join(made)}.")
    if beyond := report["beyond_train_per_class"]:
        found.append(f"{counted(beyond, 'training picture')} {splits.BEYOND}.")
    found += [f"No {name} split." for name in SPLITS if not report["splits"][name]]
    if frames := report["several_frames"]:
        found.append(f"{counted(frames, 'picture')} of several frames: the first is used.")
    if turned := report["turned"]:
        found.append(f"{counted(turned, 'picture')} turned upright, as EXIF data says.")
    return found + without_labels.findings(report["unlabelled"])


_LEFT_OUT = {  # what is counted, and the sentence about one and about several
    "unreadable": ("file", "cannot be used.", "cannot be used."),
    "duplicates": (
        "exact copy",
        "within a split: each picture counts once.",
        "within a split: each picture counts once.",
    ),
    "duplicates_across_splits": (
        "copy",
        "of a picture in another split: kept in test, or else in val, and left out of the rest.",
        "of pictures in another split: kept in test, or else in val, and left out of the rest.",
    ),
    "conflicting_classes": (
        "file",
        "shows a picture that also has another class: left out.",
        "show a picture that also has another class: all left out.",
    ),
}


def _some(names: list[str], shown: int = 5) -> str:
    more = f" and {len(names) - shown} more" if len(names) > shown else ""
    return ", ".join(names[:shown]) + more


def _unusable(report: dict[str, Any]) -> list[str]:
    """The first files that cannot be used, with the reason; the photos without labels too."""
    kinds = report["unreadable"], report["unlabelled"]["unreadable"]
    files = [file for kind in kinds for file in kind["files"]][:FILES_SHOWN]
    more = sum(kind["count"] for kind in kinds) - len(files)
    named = [f"  {file['path']}: {file['verdict']}" for file in files]
    heading = ["Files that cannot be used:"] if files else []
    return [*heading, *named, *([f"  and {more} more"] if more else [])]


def show(report: dict[str, Any], path: Path) -> None:
    """Prints the report in short: classes by split, then what was found."""
    from rich.console import Console
    from rich.table import Table

    from graftwork.process.terminal import literal

    console = Console()
    title = literal(f"{report['dataset']}: {report['usable']} pictures")
    table = Table("class", title=title)
    for name in SPLITS:
        table.add_column(name, justify="right")
    for name, counts in list(report["classes"].items())[:CLASSES_SHOWN]:
        table.add_row(literal(name), *(str(counts[split]) for split in SPLITS))
    if len(report["classes"]) > CLASSES_SHOWN:
        table.add_row(f"and {len(report['classes']) - CLASSES_SHOWN} more", "", "", "")
    table.add_section()
    table.add_row("all", *(str(report["splits"][split]) for split in SPLITS))
    console.print(table)
    for finding in report["findings"]:
        console.print(literal(f"- {finding}"))
    for line in _unusable(report):
        console.print(literal(line), soft_wrap=True)
    console.print(literal(f"Report: {path}"), soft_wrap=True)
