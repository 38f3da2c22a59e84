"""A metric under several processes is that of one, on numbers of pictures that are odd."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import yaml
from faults.chaos.ground import Command, Ground, Row, same
from faults.chaos.sweeps import SETTINGS
from tiny_transfer import draw_photos

COUNTS = (1, 5, 7)  # test pictures of each of three classes
PROCESSES = (2, 3)


def rows(ground: Ground, kills: int) -> Iterator[Row]:
    """All metrics with their intervals, and every probability."""
    trials = held = 0
    for count in COUNTS:
        project = ground.project()
        draw_photos(project / "photos", {"train": 6, "val": 4, "test": count})
        words = [*SETTINGS, f"dataset.path={project / 'photos'}", "transfer=from_scratch"]
        words += ["hydra.run.dir=job", "extraction.batch_size=2", "trainer.batch_size=6"]
        assert Command(["pipelines.experiment", *words], project).wait() == 0
        wanted = _told(project / "job")
        for processes in PROCESSES:
            _set_processes(project / "job", processes)
            where = ["--root", str(project / "job"), "--shared", str(project)]
            code = Command(["pipelines.evaluate", *where], project).wait()
            held += code == 0 and same(_told(project / "job"), wanted)
            trials += 1
    what = "metrics and answers for 3, 15 and 21 pictures under 2 and 3 processes: as under one"
    yield Row(what, trials, held, stock="metric")


def _told(job: Path) -> dict[str, object]:
    told = json.loads((job / "reports/metrics.json").read_text())
    (job / "reports/metrics.json").unlink()
    return {
        **{key: told[key] for key in ("selection", "test", "start", "views")},
        "predictions": (job / "reports/predictions.parquet").read_bytes(),
    }


def _set_processes(job: Path, processes: int) -> None:
    path = job / "params.yaml"
    params = yaml.safe_load(path.read_text())
    params["trainer"]["processes"] = processes
    path.write_text(yaml.safe_dump(params))
