"""A manifest of photos in series, and a backbone to which those of a series look alike."""

from __future__ import annotations

import math
from dataclasses import replace
from functools import lru_cache
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
from conftest import composed

from graftwork.config.components import build
from graftwork.settings.selection import Selection

CLASSES = 3


@lru_cache
def _selection() -> Selection:
    return build(composed()["selection"], Selection, "selection")


def experiment(
    method: str = "auto",
    *,
    random: bool = False,
    probe: bool = True,
    epochs: int = 3,
    **fields: Any,
) -> Any:
    """What choosing looks at: the fields of conf/selection, and how training begins."""
    return SimpleNamespace(
        selection=replace(_selection(), method=method, **fields),
        dataset=SimpleNamespace(splits=SimpleNamespace(seed=0)),
        transfer=SimpleNamespace(
            start=SimpleNamespace(is_learnt=not random),
            head_init=SimpleNamespace(needs_features=probe),
            epochs=epochs,
        ),
    )


def photos(
    val: int = 0, siblings: bool = False, unlabelled: bool = False, column: bool = False
) -> pd.DataFrame:
    """A manifest: twelve series of five photos in train and in test each.

    Args:
        val: series in validation.
        siblings: those are parts of train's series.
        unlabelled: seven photos without labels stand in it too.
        column: the data says what a series is.
    """
    pictures = [("train", series % CLASSES, series) for series in range(12) for _ in range(5)]
    begin = 0 if siblings else 21
    pictures += [("val", s % CLASSES, s + begin) for s in range(val) for _ in range(5)]
    pictures += [("test", series % CLASSES, 40 + series) for series in range(12) for _ in range(5)]
    if unlabelled:
        pictures += [("unlabelled", -1, 60 + series) for series in range(7)]
    frame = pd.DataFrame(pictures, columns=["split", "label", "series"])
    frame["sha256"] = [f"{number:04}" for number in range(len(frame))]
    frame["path"] = "/photos/" + frame["sha256"]
    frame["class"] = frame["label"].map(lambda label: "" if label < 0 else "abc"[label])
    frame["group"] = frame["series"].map("s{}".format) if column else ""
    return frame.assign(verdict="ok", taken=math.nan)


class Backbone:
    """Features by content. Remembers what it was asked for."""

    def __init__(self, frame: pd.DataFrame) -> None:
        random = np.random.default_rng(0)
        noise = random.normal(0, 0.05, (len(frame), 16))
        features = random.normal(size=(80, 16))[frame["series"]] + noise
        self.known = dict(zip(frame["sha256"], features.astype(np.float32), strict=True))
        self.splits = dict(zip(frame["sha256"], frame["split"], strict=True))
        self.asked: list[pd.DataFrame] = []

    def __call__(self, rows: pd.DataFrame) -> np.ndarray:
        self.asked.append(rows)
        return np.stack([self.known[sha256] for sha256 in rows["sha256"]])

    def asked_for(self, split: str) -> list[pd.DataFrame]:
        """What it was given of that split, alone or among others."""
        return [rows for rows in self.asked if split in set(rows["sha256"].map(self.splits))]

    def seen(self) -> set[str]:
        """The splits whose pictures it was asked for."""
        return {split for split in set(self.splits.values()) if self.asked_for(split)}


def never(rows: pd.DataFrame) -> np.ndarray:
    raise AssertionError("nothing asked for features")
