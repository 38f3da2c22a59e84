"""The project's model behind `graftwork serve` and behind `mlflow models serve`, on loopback."""

from __future__ import annotations

import asyncio
import base64
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
import urllib.request
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil

from benchmarks.load import Asked, Outcome, load, post, rate
from benchmarks.workplace import told
from graftwork.cli.ui import free_port
from graftwork.data import manifest
from graftwork.model_folder.contents import CONTRACT
from graftwork.recording.mlflow_model import save_model
from graftwork.storage.artifacts import Artifacts
from graftwork.storage.files import seal, unsealed

CONNECTIONS = 32
OURS, THEIRS = 1000, 150  # requests of a round
MANY, GARBAGE = 10_000, 20  # requests, of which every 20th is garbage


@dataclass
class Server:
    """A service in a process of its own."""

    port: int
    process: psutil.Popen
    peak: float = 0.0  # MiB that it and its children took at most

    @property
    def cpu(self) -> float:
        """Seconds that it and its children have computed."""
        times = [p.cpu_times() for p in (self.process, *self.process.children(recursive=True))]
        return sum(each.user + each.system for each in times)

    def watch(self) -> None:
        while self.process.is_running() and self.process.poll() is None:
            try:
                every = [self.process, *self.process.children(recursive=True)]
                self.peak = max(self.peak, sum(p.memory_info().rss for p in every) / 2**20)
            except psutil.Error:
                pass
            time.sleep(0.1)


def serving_against_mlflow(project: Path, folder: Path, rounds: int) -> Iterator[str]:
    """Requests/s of both in turn, what becomes of garbage, of a newer model, of SIGTERM."""
    artifacts = Artifacts.at(project)
    if not artifacts.model.is_dir():
        yield f"{artifacts.model}: no model. Run `make repro` first."
        return
    frame = manifest.of_split(manifest.read(artifacts.manifest), "test")
    photos = [Path(path).read_bytes() for path in frame["path"]]
    model = folder / "run" / "model"
    shutil.copytree(artifacts.model, model)
    shutil.copy(artifacts.params, model.parent)
    save_model(folder / "mlflow", model, photos[0])
    with _ours(model) as ours:
        with _theirs(folder / "mlflow") as theirs:
            yield _in_turn(ours, theirs, photos, rounds)
        yield _garbage(ours, photos)
        yield _newer(ours, photos, model)
        yield _ended(ours, photos)


def _in_turn(ours: Server, theirs: Server, photos: Sequence[bytes], rounds: int) -> str:
    sides = {
        "graftwork serve": (ours, [_raw(ours.port, photo) for photo in _cycled(photos, OURS)]),
        "mlflow models serve": (
            theirs, [_in_json(theirs.port, photo) for photo in _cycled(photos, THEIRS)]
        ),
    }  # fmt: skip
    for server, requests in sides.values():
        _loaded(server, requests[:CONNECTIONS])
    found: dict[str, list[tuple[list[Outcome], float]]] = {name: [] for name in sides}
    begun = {name: server.cpu for name, (server, _) in sides.items()}
    for _ in range(rounds):
        for name, (server, requests) in sides.items():
            found[name].append(_loaded(server, requests))
    lines = []
    for name, (server, _) in sides.items():
        outcomes = [outcome for some, _ in found[name] for outcome in some]
        wrong = sum(not outcome.is_right for outcome in outcomes)
        seconds = sum(each for _, each in found[name])
        computed = 1000 * (server.cpu - begun[name]) / len(outcomes)
        lines.append(
            f"{name}: {rate(outcomes, seconds)}, {computed:.0f} ms of a core each, {wrong} wrong; "
            f"peak {server.peak:.0f} MiB"
        )
    mine, other = ([len(some) / each for some, each in found[name]] for name in sides)
    ratios = [a / b for a, b in zip(mine, other, strict=True)]
    return "\n".join([*lines, f"  graftwork / mlflow, requests/s: {told(ratios)}"])


def _garbage(server: Server, photos: Sequence[bytes]) -> str:
    kinds = _kinds(server.port, photos[0])
    good = [_raw(server.port, photo) for photo in photos]
    requests = [
        kinds[at // GARBAGE % len(kinds)] if at % GARBAGE == 0 else good[at % len(good)]
        for at in range(MANY)
    ]
    outcomes, seconds = _loaded(server, requests)
    right = sum(outcome.is_right for outcome in outcomes)
    statuses = dict(sorted(Counter(outcome.status for outcome in outcomes).items()))
    return (
        f"{MANY} requests, every {GARBAGE}th garbage of {len(kinds)} kinds: {right} got their "
        f"status, {MANY - len(outcomes)} none; {rate(outcomes, seconds)}; {statuses}; "
        f"peak {server.peak:.0f} MiB"
    )


def _kinds(port: int, photo: bytes) -> list[Asked]:
    """Requests that are no good, each with its status."""
    good = _raw(port, photo).content
    form = "multipart/form-data; boundary=b"
    return [
        post(port, "/predict", "image/jpeg", photo[: len(photo) // 3], 415),
        post(port, "/predict", "image/png", b"<html><script>alert(1)</script>", 415),
        post(port, "/predict", "application/json", b"{}", 415),
        post(port, "/predict", "image/jpeg", b"", 400),
        post(port, "/predict", form, b"--b--\r\n", 400),
        post(port, "/predict", form, b"\x00\xff" * 99, 400),
        post(port, "/predict?top=many", "image/jpeg", photo, 400),
        post(port, "/predict", "image/jpeg", bytes(17 * 2**20), 413),
        post(port, "/nothing", "image/jpeg", photo, 404),
        Asked(good.replace(b"POST", b"PUT", 1), 405),
        Asked(good.replace(b"Host: 127.0.0.1", b"Host: evil.example", 1), 403),
        Asked(b"\x16\x03\x01 no HTTP\r\n\r\n", 400),
    ]


def _newer(server: Server, photos: Sequence[bytes], model: Path) -> str:
    def replace() -> None:
        contract = model / CONTRACT
        values = unsealed(json.loads(contract.read_text()))
        values["training"]["copy"] = True
        beside = contract.with_suffix(".new")
        beside.write_text(json.dumps(seal(values), indent=1, sort_keys=True))
        beside.replace(contract)

    requests = [_raw(server.port, photo) for photo in _cycled(photos, 2 * OURS)]
    outcomes, _ = _loaded(server, requests, replace)
    lost = sum(not outcome.is_right for outcome in outcomes)
    versions = Counter(outcome.told[12:24] for outcome in outcomes if outcome.is_right)
    return f"a newer model during {len(outcomes)} requests: {lost} lost; answered by version " + (
        ", ".join(f"{name}: {count}" for name, count in versions.items())
    )


def _ended(server: Server, photos: Sequence[bytes]) -> str:
    requests = [_raw(server.port, photo) for photo in _cycled(photos, 2 * OURS)]
    outcomes, _ = _loaded(server, requests, server.process.terminate)
    code = server.process.wait(60)
    lost = sum(not outcome.is_right for outcome in outcomes)
    return (
        f"SIGTERM after some of {len(requests)} requests: {len(outcomes)} sent, {lost} lost; "
        + (f"exit code {code}")
    )


def _loaded(
    server: Server, requests: Sequence[Asked], meanwhile: Callable[[], None] | None = None
) -> tuple[list[Outcome], float]:
    """What became of the requests, and in how many seconds.

    Args:
        meanwhile: called three seconds after the first.
    """
    timer = threading.Timer(3, meanwhile or (lambda: None))
    timer.start()
    begun = time.perf_counter()
    outcomes = asyncio.run(load(server.port, requests, CONNECTIONS))
    seconds = time.perf_counter() - begun
    timer.cancel() if meanwhile is None else timer.join()
    return outcomes, seconds


def _raw(port: int, photo: bytes) -> Asked:
    return post(port, "/predict", "image/jpeg", photo)


def _in_json(port: int, photo: bytes) -> Asked:
    data = [[base64.b64encode(photo).decode()]]
    body = json.dumps({"dataframe_split": {"columns": ["image"], "data": data}}).encode()
    return post(port, "/invocations", "application/json", body)


def _cycled(photos: Sequence[bytes], count: int) -> list[bytes]:
    return [photos[at % len(photos)] for at in range(count)]


@contextmanager
def _ours(model: Path) -> Iterator[Server]:
    command = ("graftwork", "serve", str(model))
    with _started(command, "/ready", model.parents[1]) as server:
        yield server


@contextmanager
def _theirs(model: Path) -> Iterator[Server]:
    command = ("mlflow", "models", "serve", "--env-manager", "local", "--model-uri", str(model))
    with _started(command, "/ping", model.parent) as server:
        yield server


@contextmanager
def _started(command: Sequence[str], ping: str, folder: Path) -> Iterator[Server]:
    port = free_port()
    said = folder / f"{command[0]}.log"
    env = {**os.environ, "MLFLOW_DISABLE_TELEMETRY": "true"}
    with said.open("wb") as log:
        process = psutil.Popen(
            [sys.executable, "-m", *command, "--port", str(port)],
            cwd=folder, env=env, stdout=log, stderr=subprocess.STDOUT, start_new_session=True,
        )  # fmt: skip
    server = Server(port, process)
    threading.Thread(target=server.watch, daemon=True).start()
    try:
        _wait_until_ready(server, ping, said)
        yield server
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGTERM)
            process.wait(60)


def _wait_until_ready(server: Server, ping: str, log: Path) -> None:
    end = time.monotonic() + 300
    while True:
        try:
            urllib.request.urlopen(f"http://127.0.0.1:{server.port}{ping}", timeout=5).close()
            return
        except OSError:
            if server.process.poll() is not None or time.monotonic() > end:
                raise SystemExit(log.read_text("utf-8", "replace")) from None
            time.sleep(0.2)
