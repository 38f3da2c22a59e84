"""`graftwork predict` over many photos, against the bare engine and decoding; its memory."""

from __future__ import annotations

import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from itertools import cycle, islice
from pathlib import Path
from statistics import median

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

MANY, FEW = 10_000, 1_000  # photos whose memory is compared
MEASURED = 2_000  # of one timing of the command
SAMPLE = 1_024  # photos of one timing of the engine, and of decoding


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

    def streaming() -> float:
        return _rate(SAMPLE, lambda: list(answers.of(chunks, load)))

    def whole(count: int = MEASURED) -> tuple[float, int]:
        return command(artifacts.model, folder, count)

    streaming()  # and what it loads for near ties
    costs = [_cpu(SAMPLE, work) for work in (bare, decoding, streaming)]
    alone, decoded, asked = alternating(repeats, bare, decoding, lambda: whole()[0])
    verdict = answers.ready.verdict
    yield (
        f"predict, {MEASURED} photos, {verdict.engine} {verdict.precision}, photos/s: engine alone "
        f"{told(alone, 0)}, decoding alone {told(decoded, 0)}, predict {told(asked, 0)}"
    )
    lower = [min(pair) for pair in zip(alone, decoded, strict=True)]
    both = [1 / (1 / a + 1 / b) for a, b in zip(alone, decoded, strict=True)]
    yield (
        f"  of the lower of the two: {told(ratio(asked, lower), 2)}; of one after the other on the "
        f"same cores: {told(ratio(asked, both), 2)}"
    )
    engine, decode, stream = (f"{1000 * seconds:.2f}" for seconds in costs)
    yield f"  CPU, ms a photo: engine {engine}, decoding {decode}, streaming both {stream}"
    (_, few), (rate, many) = whole(FEW), whole(MANY)
    yield (
        f"  peak memory, MiB: {FEW} photos {few / 1024:.0f}, {MANY} photos {many / 1024:.0f} "
        f"({100 * (many / few - 1):+.1f} %)"
    )
    yield (
        f"  {MANY} photos: {rate:.0f} photos/s, {rate / median(lower):.2f} of the lower (medians)"
    )


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


def command(model: Path, folder: Path, count: int) -> tuple[float, int]:
    """Photos/s that `graftwork predict` says of itself, and its peak memory, KiB."""
    out, listed, said = (folder / name for name in ("out.csv", "list.txt", "said.txt"))
    out.unlink(missing_ok=True)
    listed.write_text("".join(f"{folder / 'photos' / f'{n:06}.jpg'}\n" for n in range(count)))
    arguments = [sys.executable, "-m", "graftwork", "predict", str(model), "-", "--to", str(out)]
    peak = 0
    with listed.open() as stdin, said.open("w") as stdout:
        process = subprocess.Popen(arguments, stdin=stdin, stdout=stdout, stderr=subprocess.STDOUT)
        while process.poll() is None:
            peak = max(peak, _peak(process.pid))
            time.sleep(0.1)
    found = re.search(r"([\d.]+) photos/s", said.read_text())
    if process.returncode or found is None:
        raise SystemExit(said.read_text())
    return float(found[1]), peak


def _peak(pid: int) -> int:
    """Of its resident memory so far, KiB; not by wait4, which counts what its parent had."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:  # it has ended
        return 0
    return max((int(line.split()[1]) for line in lines if line.startswith("VmHWM")), default=0)


def _rate(count: int, work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    return count / (time.perf_counter() - start)


def _cpu(count: int, work: Callable[[], object]) -> float:
    """Seconds of all threads, for each photo: whatever else runs on the machine."""
    start = time.process_time()
    work()
    return (time.process_time() - start) / count
