"""A report with hostile names, to be read back."""

from __future__ import annotations

from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from selection_records import without_parts

from graftwork.metrics.accuracy import TopK
from graftwork.metrics.log_loss import LogLoss
from graftwork.profiling.timing import BUSY
from graftwork.reporting import plots, report
from graftwork.reporting.calibration_plot import reliability
from graftwork.reporting.choice import choice
from graftwork.reporting.confusion_plot import confusion
from graftwork.reporting.per_class import class_scores

EVIL = "<script>alert(1)</script>"
METRICS = {"top1": TopK(higher_is_better=True, k=1), "log_loss": LogLoss(higher_is_better=False)}


class Photos:
    """Stands for the decoded store."""

    def get(self, sha256: str, path: str) -> np.ndarray:
        return np.full((300, 200, 3), 128, np.uint8)


class Elements(HTMLParser):
    """Every element with its attributes."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))


PROBABILITIES = np.array([[0.9, 0.1], [0.8, 0.2], [0.999, 0.001], [0.3, 0.7]])
GROUPS = [
    {
        "name": EVIL,
        "output": [64, 56, 56],
        "activation_kib": 784.0,
        "parameters": 9536,
        "macs": 118_013_952,
        "receptive_field": 11,
    }
]
FRAME = pd.DataFrame(
    {
        "sha256": list("abcd"),
        "path": [f"/x/<img src=y onerror=alert({index})>.jpg" for index in range(4)],
        "label": [0, 1, 1, 1],
    }
)


def written(path: Path, **changes: Any) -> str:
    names = ["apple", EVIL]
    labels, predicted = FRAME["label"].to_numpy(), PROBABILITIES.argmax(axis=1)
    classes = class_scores([*names, "absent"], labels, predicted, 0.95)
    scores = {
        "top1": {"value": 0.5, "low": 0.25, "high": 0.75, "n": 4},
        "log_loss": {"value": 0.9, "low": 0.2, "high": 2.5, "n": 4},
    }
    values: dict[str, Any] = {
        "title": f"{EVIL} · net · probe",
        "split": plots.TEST,
        "scores": scores,
        "metrics": METRICS,
        "confidence": 0.95,
        "cost": {
            "seconds": {"prepare": 2.5, "evaluate": 130.0},
            "images_per_second": {"test": 61.25},
            "peak_mib": 812.4,
            "parameters": 1234567,
            "trainable_parameters": 8765432,
            "macs": 385_187_552,
            "activation_mib": 25.71,
            "latency_ms": 4.56,
            "energy_mj_per_image": 78.9,
            "energy_source": EVIL,
            "machine": BUSY,
        },
        "profile": {"input": [3, 224, 224], "groups": GROUPS},
        "choice": choice(without_parts(words=f"by {EVIL}"), scores, scores, None, METRICS),
        "views": None,
        "engine": f"{EVIL} in fp32",
        "audit": None,
        "movement": [],
        "pictures": {
            "intervals": plots.metric_intervals(scores, METRICS, 0.95),
            "confusion": confusion(names, labels, predicted, plots.TEST),
            "classes": plots.class_bars(classes),
            "calibration": reliability(PROBABILITIES, labels),
            "training": None,
            "movement": None,
        },
        "classes": classes,
        "mistakes": report.worst_mistakes(FRAME, names, PROBABILITIES, Photos(), 5),
        "wrong": 2,
        "copies": [report.Copy(EVIL, "train", "data:,", EVIL, "test", "data:,")],
        "data": {
            "findings": [f"{EVIL} is odd."],
            "splits": {"train": 1389, "test": 4},
            "classes": {"apple": {"train": 7, "test": 1}, EVIL: {"train": 0, "test": 3}},
            "unreadable": {"count": 4, "files": [{"path": EVIL, "verdict": "cut"}] * 4},
            "made_splits": [],
            "same_picture": {"across_splits": {"count": 30, "files": []}},
        },
        "configuration": f"name: {EVIL}",
        "lineage": {"git": EVIL},
    }
    report.write(path, report.Report(**(values | changes)))
    return path.read_text(encoding="utf-8")
