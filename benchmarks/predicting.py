"""`graftwork predict` over many photos, against the bare engine and decoding; its memory."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from itertools import cycle, islice
from pathlib import Path

from benchmarks.workplace import alternating, ratio, told
from graftwork.config.errors import UserError
from graftwork.data import manifest
from graftwork.features.engines.loading import AHEAD
from graftwork.model_folder import contents as model_folder
from graftwork.process.cores import cores
from graftwork.process.read_ahead import ahead
from graftwork.serving.answering import ModelAnswers
from graftwork.serving.reading import read_batch
from graftwork.serving.settings import Settings
from graftwork.storage.artifacts import Artifacts

MANY, FEW = 10_000, 1_000  # photos
SAMPLE = 1_000  # photos of one timing of the engine, and of decoding


def predicting(project: Path, folder: Path, repeats: int) -> Iterator[str]:
    """Photos/s of the whole command, of the engine on tensors in memory and of decoding alone.

    Raises:
        UserError: there is no model, or none of its photos, in the project.
    """
    artifacts = Artifacts.at(project)
    contract = model_folder.read_contract(artifacts.model)
    if not artifacts.manifest.is_file():
        raise UserError(f"{artifacts.manifest}: no photos were prepared. Run `make repro` first.")
    frame = manifest.of_split(manifest.read(artifacts.manifest), "test")
    paths = written(list(map(Path, frame["path"])), folder / "photos", MANY)
    settings = Settings.of(artifacts.model, model_folder.was_trained(artifacts.model, contract))
    size = settings.batch_size
    load = partial(read_batch, contract=contract, batch_size=size)
    chunks = [paths[start : start + size] for start in range(0, SAMPLE, size)]
    answers = ModelAnswers(artifacts.model, artifacts.trained, settings, lambda: load(chunks[0]))
    memory = [load(chunk).images for chunk in chunks]

    def bare() -> float:
        return _rate(SAMPLE, lambda: [answers.ready.engine(images) for images in memory])

    def decoding() -> float:
        return _rate(SAMPLE, lambda: list(ahead(load, chunks, max(AHEAD, cores()), "decoding")))

    rates: list[tuple[float, int]] = []

    def whole() -> float:
        rates.append(command(artifacts.model, folder / "photos", folder, MANY))
        return rates[-1][0]

    bare()
    alone, decoded, asked = alternating(repeats, bare, decoding, whole)
    yield f"predict, {MANY} photos, {answers.ready.verdict.engine}, photos/s: engine alone "
    yield f"  {told(alone, 0)}, decoding alone {told(decoded, 0)}, predict {told(asked, 0)}"
    lower = [min(pair) for pair in zip(alone, decoded, strict=True)]
    yield f"  of the lower of the two: {told(ratio(asked, lower), 2)}"
    both = [1 / (1 / a + 1 / b) for a, b in zip(alone, decoded, strict=True)]
    yield f"  of one after the other on the same cores: {told(ratio(asked, both), 2)}"
    few = command(artifacts.model, folder / "photos", folder, FEW)[1]
    peak = rates[-1][1]
    yield f"  peak memory, MiB: {FEW} photos {few / 1024:.0f}, {MANY} photos {peak / 1024:.0f}"
    yield f"  more: {100 * (peak / few - 1):.1f} %"


def written(photos: Sequence[Path], folder: Path, count: int) -> list[str]:
    """So many JPEG files: the photos again and again, each with a comment of its own."""
    folder.mkdir(parents=True)
    paths = []
    for number, photo in enumerate(islice(cycle(photos), count)):
        content = photo.read_bytes()
        assert content[:2] == b"\xff\xd8", f"{photo} is no JPEG"
        comment = f"{number}".encode()
        segment = b"\xff\xfe" + (len(comment) + 2).to_bytes(2, "big") + comment
        path = folder / f"{number:06}.jpg"
        path.write_bytes(content[:2] + segment + content[2:])
        paths.append(str(path))
    return paths


def command(model: Path, photos: Path, folder: Path, count: int) -> tuple[float, int]:
    """Photos/s that `graftwork predict` says of itself, and its peak memory, KiB."""
    out = folder / "out.csv"
    out.unlink(missing_ok=True)
    names = "".join(f"{photos / f'{number:06}.jpg'}\n" for number in range(count))
    (folder / "list.txt").write_text(names)
    arguments = [sys.executable, "-m", "graftwork", "predict", str(model), "-", "--to", str(out)]
    with (folder / "list.txt").open() as listed, (folder / "said.txt").open("w+") as said:
        process = subprocess.Popen(arguments, stdin=listed, stdout=said, stderr=subprocess.STDOUT)
        _, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        said.seek(0)
        text = said.read()
    found = re.search(r"([\d.]+) photos/s", text)
    if process.returncode or found is None:
        raise SystemExit(text)
    return float(found[1]), used.ru_maxrss


def _rate(count: int, work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    return count / (time.perf_counter() - start)
