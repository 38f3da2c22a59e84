from __future__ import annotations

import itertools
import json
import re
from pathlib import Path
from xml.dom.minidom import parseString

from graftwork.reporting import sweep_curves
from graftwork.storage.artifacts import Artifacts
from graftwork.training.history import write_history


def job(folder: Path, number: int, *overrides: str, top1: float, split: str = "test") -> None:
    """A job of three epochs; training is 10 points better than what stands against it."""
    root = folder / str(number)
    rows = [
        {"epoch": epoch, "train/top1": top1 - (3 - epoch) / 10 + 0.1}
        | ({f"{split}/top1": top1 - (3 - epoch) / 10} if split else {})
        for epoch in (1, 2, 3)
    ]
    write_history(rows, Artifacts.at(root).history)
    (root / "job.json").write_text(json.dumps({"job": number, "overrides": overrides}))


def drawn(folder: Path, *swept: str) -> tuple[list[str], list[str]]:
    """Labels of the curves (tooltips), and every text."""
    path = sweep_curves.write(folder, swept)
    assert path == folder / "curves.svg"
    document = parseString(path.read_text(encoding="utf-8"))

    def of(tag: str) -> list[str]:
        nodes = document.getElementsByTagName(tag)
        return [node.firstChild.data.replace("\u202f", " ") for node in nodes if node.firstChild]

    return of("title"), of("text")


def test_seeds_are_one_line_with_a_band(tmp_path: Path) -> None:
    tops = {("plain20", 0): 0.6, ("plain20", 1): 0.7, ("plain56", 0): 0.5, ("plain56", 1): 0.5}
    for number, ((model, seed), top1) in enumerate(tops.items()):
        job(tmp_path, number, "experiment=x", f"model={model}", f"seed={seed}", top1=top1)
    labels, texts = drawn(tmp_path, "model", "seed")
    assert labels == [
        *("plain20 train 25.0 %", "plain20 test 35.0 %"),
        *("plain56 train 40.0 %", "plain56 test 50.0 %"),
    ]
    assert any("mean of 2 seeds, band" in text and "bold: test" in text for text in texts)
    picture = (tmp_path / "curves.svg").read_text()
    bands = re.findall(r'<path [^>]*fill="(var[^"]*)"[^>]* opacity="0.14"', picture)
    assert bands == ["var(--one)"] * 2  # where seeds agree there is no band
    lines = re.findall(r'stroke="(var[^"]*)" stroke-width="([\d.]+)"[^>]*><title>', picture)
    assert lines == [(f"var(--{tone})", width) for tone in ("one", "two") for width in ("1", "2.5")]


def test_the_first_of_two_keys_makes_panels(tmp_path: Path) -> None:
    pairs = itertools.product(("cifar_plain", "cifar_resnet"), (20, 56))
    for number, (model, depth) in enumerate(pairs):
        job(tmp_path, number, f"model={model}", f"model.options.depth={depth}", top1=0.5)
    labels, texts = drawn(tmp_path, "model", "model.options.depth")
    assert {"cifar_plain", "cifar_resnet"} <= set(texts)
    assert len(labels) == 8 and labels[-1] == "depth 56 test 50.0 %"
    assert not any("seeds" in text for text in texts)


def test_validation_stands_in_where_a_job_lacks_a_test_curve(tmp_path: Path) -> None:
    job(tmp_path, 0, "model=a", top1=0.5, split="val")
    job(tmp_path, 1, "model=b", top1=0.5, split="val")
    labels, texts = drawn(tmp_path, "model")
    assert labels[1] == "a val 50.0 %" and any("bold: validation" in text for text in texts)
    job(tmp_path, 2, "model=c", top1=0.5)  # test alone: the jobs share nothing but training
    labels, texts = drawn(tmp_path, "model")
    assert [label.split()[1] for label in labels] == ["train"] * 3
    assert not any("bold" in text for text in texts)


def test_only_seeds_are_lines_of_their_own(tmp_path: Path) -> None:
    for seed in (0, 1):
        job(tmp_path, seed, f"seed={seed}", top1=0.5)
    assert drawn(tmp_path, "seed")[0][0] == "seed 0 train 40.0 %"


def test_what_is_not_drawn_is_said(tmp_path: Path) -> None:
    for number in range(8):
        job(tmp_path, number, f"model=m{number}", top1=0.5)
    labels, texts = drawn(tmp_path, "model")
    assert len(labels) == 12 and any("2 more not drawn" in text for text in texts)


def test_jobs_without_curves_make_no_picture(tmp_path: Path) -> None:
    (tmp_path / "0").mkdir()
    (tmp_path / "0" / "job.json").write_text(json.dumps({"job": 0, "overrides": ["seed=0"]}))
    write_history([{"epoch": 0, "probe/strength": 1.0}], Artifacts.at(tmp_path / "1").history)
    (tmp_path / "1" / "job.json").write_text(json.dumps({"job": 1, "overrides": ["seed=1"]}))
    assert sweep_curves.write(tmp_path, ["seed"]) is None
    assert not (tmp_path / "curves.svg").exists()
