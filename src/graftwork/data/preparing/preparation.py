"""From what a data set lists to what can be trained on: manifest, classes, splits, report."""

from __future__ import annotations

import json
from typing import Any

import pandas as pd

from graftwork.config.errors import UserError
from graftwork.data import manifest
from graftwork.data.datasets import unlabelled
from graftwork.data.datasets.base import RECEIPT, Dataset
from graftwork.data.datasets.left_out import LeftOut
from graftwork.data.images import decoded_store
from graftwork.data.manifest import OK
from graftwork.data.preparing import (
    data_report,
    duplicates,
    leakage,
    passed_over,
    splits,
    without_labels,
)
from graftwork.data.preparing import earlier_verdicts as recall
from graftwork.data.preparing.counted import counted
from graftwork.data.preparing.examination import Kept, examine_all
from graftwork.process.progress import count_bar
from graftwork.storage.artifacts import Artifacts
from graftwork.storage.files import warn_damaged, write_json

NO_CLASS = "no class"
SHOWN = 10  # examples in a message


def prepare(dataset: Dataset, artifacts: Artifacts) -> dict[str, Any]:
    """Writes manifest, class list and data report, and fills the decoded store.

    Returns:
        The data report; see `graftwork.data.preparing.data_report`.

    Raises:
        UserError: nothing can be read, something cannot and `unreadable` is `stop`, fewer than two
            classes remain, val or test holds classes that train does not, no picture is left
            to test with, none of the photos without labels counts, or a picture is in several
            splits and `leakage` is `stop`.
    """
    state = recall.state_of(dataset, artifacts)
    if recall.taken_over(state, artifacts):
        return json.loads(artifacts.data_report.read_text(encoding="utf-8"))
    report = _prepare(dataset, artifacts)
    recall.keep(state, artifacts)
    return report


def _prepare(dataset: Dataset, artifacts: Artifacts) -> dict[str, Any]:
    raw, left_out = artifacts.raw(dataset.name), LeftOut()
    frame, kept = _examined(dataset, artifacts, left_out)
    if wrong := dataset.damaged(raw, frame):
        what = f"it and {len(wrong) - 1} more files of {raw} are not what was unpacked"
        warn_damaged(wrong[0], what, f"{dataset.name} is unpacked again.")
        (raw / RECEIPT).unlink(missing_ok=True)
        dataset.download(raw, artifacts.downloads)
        left_out = LeftOut()
        frame, kept = _examined(dataset, artifacts, left_out)
    _check_readable(frame, dataset.unreadable)
    judged = judge(frame)
    divided = divide(judged, dataset)
    classes = class_names(divided[~without_labels.are(divided)])
    divided["label"] = divided["class"].map({c: i for i, c in enumerate(classes)})
    divided["label"] = divided["label"].fillna(-1).astype("int64")
    beside = passed_over.read(raw), left_out.receipt()
    report = {
        "dataset": dataset.name,
        **data_report.describe(divided, judged["split"], classes, dataset.leakage, *beside),
        # Nothing here may tell one run from the next: stages that read the report would run again.
        "decoded": {"side": dataset.decoded_side, "pictures": kept.pictures, "gib": kept.gib},
    }
    manifest.write(divided.fillna({"group": ""}), artifacts.manifest)
    write_json(artifacts.classes, classes)
    write_json(artifacts.data_report, report)
    if not report["splits"]["test"]:
        data_report.show(report, artifacts.data_report)
        raise _no_test(judged, dataset)
    return report


def _examined(
    dataset: Dataset, artifacts: Artifacts, left_out: LeftOut
) -> tuple[pd.DataFrame, Kept]:
    """Every listed file, looked at. `left_out` counts what lies beside photos without labels."""
    raw = artifacts.raw(dataset.name)
    labelled = sum(1 for _ in dataset.records(raw))
    if labelled == 0:
        raise UserError(f"dataset: {dataset.name} lists no pictures in {raw}.")
    total = labelled + sum(1 for _ in unlabelled.records(dataset))
    with count_bar("pictures", total) as seen:
        store = decoded_store(artifacts, dataset)
        return examine_all(unlabelled.listed(dataset, raw, left_out), dataset, store, seen)


def _no_test(judged: pd.DataFrame, dataset: Dataset) -> UserError:
    """Said before anything is trained, because `evaluate` would have nothing to measure on."""
    usable = judged[(judged["verdict"] == OK) & ~without_labels.are(judged)]
    why = splits.why_no_test(usable, dataset.splits)
    return UserError(f"dataset: the test split has no usable picture: {why}")


def judge(frame: pd.DataFrame) -> pd.DataFrame:
    """Verdicts on what is readable: no class, contradicting classes, copies.

    Raises:
        UserError: nothing with a label is left, or none of the photos without.
    """
    new = without_labels.are(frame)
    labelled = frame[~new].copy()
    unnamed = labelled["class"].str.strip() == ""
    labelled.loc[unnamed & (labelled["verdict"] == OK), "verdict"] = NO_CLASS
    labelled = duplicates.leave_out_duplicates(duplicates.leave_out_conflicts(labelled))
    if not (labelled["verdict"] == OK).any():
        raise UserError(f"dataset: none of {len(labelled)} files can be used: {_files(labelled)}")
    if not new.any():
        return labelled
    return pd.concat([labelled, without_labels.judge(frame[new], labelled)])


def divide(judged: pd.DataFrame, dataset: Dataset) -> pd.DataFrame:
    """Every usable picture in train, val or test; the others stay where the data has them.

    Of train only `train_per_class` stay usable.
    """
    labelled = ~without_labels.are(judged)
    judged = judged.assign(shows=leakage.shown_by(judged[labelled]))
    usable = judged[(judged["verdict"] == OK) & labelled]
    split = judged["split"].fillna("")
    together = usable.assign(group=leakage.kept_together(usable))
    split.loc[usable.index] = splits.make(together, dataset.splits)
    divided = leakage.judge(judged.assign(split=split), dataset.leakage)
    return splits.limit_train(divided, dataset.splits)


def class_names(divided: pd.DataFrame) -> list[str]:
    """Sorted names of the classes that can be learned; position = label.

    Raises:
        UserError: there are fewer than two, or a class can be tested but not learned.
    """
    usable = divided[divided["verdict"] == OK]
    learned = set(usable.loc[usable["split"] == "train", "class"])
    for split in ("test", "val"):
        strange = sorted(set(usable.loc[usable["split"] == split, "class"]) - learned)
        if strange:
            raise UserError(
                f"dataset: {split} has {counted(len(strange), 'class')} that train has no usable "
                f"picture of: {_some(strange)}. Train has: {_some(sorted(learned))}. "
                f"Rename or remove them, or add pictures to train.{_lost(divided, set(strange))}"
            )
    if len(learned) < 2:
        raise UserError(
            f"dataset: {_some(sorted(learned))} is the only class with usable pictures in train. "
            f"At least two are needed.{_lost(divided, set(divided['class']) - learned)}"
        )
    return sorted(learned)


def _lost(divided: pd.DataFrame, classes: set[str]) -> str:
    """What became of the files of classes that train has no usable picture of."""
    bad = divided[(divided["verdict"] != OK) & ~divided["split"].isin(("val", "test"))]
    groups = bad[bad["class"].isin(classes)].groupby("class")
    named = [
        f"\nNone of {counted(len(files), 'file')} of '{name}' can be used:{_files(files, 3)}"
        for name, files in groups
    ]
    more = f"\nand so in {len(named) - 3} more classes" if len(named) > 3 else ""
    return "".join(named[:3]) + more


def _check_readable(frame: pd.DataFrame, policy: str) -> None:
    bad = frame[frame["verdict"] != OK]
    labelled = frame[~without_labels.are(frame)]
    if not (labelled["verdict"] == OK).any():
        raise UserError(f"dataset: none of {len(labelled)} files can be read: {_files(labelled)}")
    if len(bad) and policy == "stop":
        raise UserError(
            f"dataset: {len(bad)} of {len(frame)} files cannot be read: {_files(bad)}\n"
            "Mend or remove them, or set dataset.unreadable=skip."
        )


def _files(bad: pd.DataFrame, shown: int = SHOWN) -> str:
    named = [
        f"\n  {path}: {verdict}"
        for path, verdict in zip(bad["path"].head(shown), bad["verdict"].head(shown), strict=True)
    ]
    more = f"\n  and {len(bad) - shown} more" if len(bad) > shown else ""
    return "".join(named) + more


def _some(names: list[str]) -> str:
    shown = ", ".join(f"'{name}'" for name in names[:SHOWN])
    return shown + (f" and {len(names) - SHOWN} more" if len(names) > SHOWN else "")
