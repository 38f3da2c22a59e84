"""What the machine refuses while a file is written, and what a terminal cannot show."""

from __future__ import annotations

import os
import resource
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

from graftwork.config.errors import as_mistake
from graftwork.storage.array_store import ArrayStore
from graftwork.storage.artifacts import Artifacts
from graftwork.storage.files import write_durably, write_json
from graftwork.storage.leftovers import CODE, leftovers

WRITERS: dict[str, Callable[[Path], object]] = {
    "array": lambda place: ArrayStore(place, "u1").append([("a", np.ones(50_000, np.uint8))]),
    "json": lambda place: write_json(place / "receipt.json", "x" * 50_000),
    "durable": lambda place: write_durably(place / "model.safetensors", bytes(50_000)),
}


@contextmanager
def small_files(most: int) -> Iterator[None]:
    """As `ulimit -f`: a file that grows beyond it is refused (EFBIG), as on a full disk."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    ignored = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (most, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, ignored)


@pytest.mark.parametrize("writer", WRITERS)
def test_a_file_that_cannot_be_written_is_named_and_leaves_nothing(
    tmp_path: Path, writer: str
) -> None:
    with small_files(10_000), pytest.raises(OSError) as caught:
        WRITERS[writer](tmp_path)
    mistake = str(as_mistake(caught.value))
    assert str(tmp_path) in mistake and "ulimit -f" in mistake
    assert not [path for path in tmp_path.iterdir() if path.stat().st_size]


def test_what_a_terminal_cannot_show_is_no_error() -> None:
    code = "from pipelines.stage import reported\nwith reported(): print('1 · 2')"
    environment = {**os.environ, "PYTHONIOENCODING": "ascii:strict"}
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, check=False
    )
    assert (done.returncode, done.stdout) == (0, b"1 ? 2\n"), done.stderr


def test_what_the_dead_left_is_found_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    temporary, project = tmp_path / "tmp", tmp_path / "project"
    monkeypatch.setattr("tempfile.tempdir", str(temporary))
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    rubbish = [
        temporary / f"{CODE}{dead.pid}-x/graftwork.py",
        project / ".model.0123.partial/head.safetensors",
        project / "mlflow.db.0123.partial",
        project / "store/features/key/1.bin",
        project / "store/networks/.key.0123.partial/input_spec.json",
        project / "store/networks/key/tmp1/network.xml",
    ]
    in_use = [
        temporary / f"{CODE}{os.getpid()}-x/graftwork.py",
        project / "model/head.safetensors",
        project / "store/features/key/2.bin",
        project / "store/features/key/2.parquet",
        project / "store/networks/key/network.bin",
        project / "store/downloads/partial/0123-photos.zip",
    ]
    for path in (*rubbish, *in_use):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
        for place in (path, path.parent):
            os.utime(place, (0, 0))
    young = project / ".model.4567.partial"
    young.mkdir()
    found = leftovers(Artifacts.at(project))
    assert all(path in found or path.parent in found for path in rubbish)
    assert len(found) == len(rubbish) and young not in found
