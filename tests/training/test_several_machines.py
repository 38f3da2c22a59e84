"""Two machines by torchrun's rendezvous: network namespaces, joined by a cable of their own."""

from __future__ import annotations

import os
import subprocess
import sys
import uuid
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file
from tiny_transfer import draw_photos

PROJECT = Path(__file__).parents[2]
SETTINGS = (
    *("model=tiny_cnn", "dataset=folder", "selection=random", "trainer.batch_size=8"),
    *("evaluation.engine=eager", "evaluation.bootstrap_samples=100", "transfer=from_scratch"),
    *("tracking.log_model=False", "transfer/start=random", "transfer.epochs=2"),
    *("trainer.precision=fp32", "transfer.batch_norm=frozen"),
)


def ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True, capture_output=True)


@pytest.fixture
def machines() -> Iterator[list[tuple[list[str], str, str]]]:
    """Of each: what stands before a command, its network interface, and its address."""
    mark = uuid.uuid4().hex[:6]
    names = [(f"gw{mark}{side}", f"v{mark}{side}", f"10.77.0.{side}") for side in (1, 2)]
    with ExitStack() as stack:
        try:
            for space, *_ in names:
                ip("netns", "add", space)
                stack.callback(ip, "netns", "delete", space)
            (_, one, _), (_, two, _) = names
            ip("link", "add", one, "type", "veth", "peer", "name", two)
            for space, cable, address in names:
                ip("link", "set", cable, "netns", space)
                ip("-netns", space, "address", "add", f"{address}/24", "dev", cable)
                for device in (cable, "lo"):
                    ip("-netns", space, "link", "set", device, "up")
        except (OSError, subprocess.CalledProcessError) as error:
            pytest.skip(f"no network namespaces here: {getattr(error, 'stderr', error)!r}")
        yield [(["ip", "netns", "exec", space], cable, ip) for space, cable, ip in names]


@pytest.mark.slow
def test_two_machines_come_to_what_one_process_does(machines, tmp_path):
    environment = {**os.environ, "PYTHONPATH": f"{PROJECT / 'src'}:{PROJECT}"}

    def stage(*words: str) -> None:
        command = [sys.executable, "-m", *words]
        subprocess.run(command, cwd=tmp_path, env=environment, check=True, timeout=200)

    photos = f"dataset.path={draw_photos(tmp_path / 'photos')}"
    stage("pipelines.experiment", *SETTINGS, photos, "hydra.run.dir=one")
    (tmp_path / "two").mkdir()
    params = (tmp_path / "one/params.yaml").read_text()
    assert "\n  processes: 1\n" in params
    (tmp_path / "two/params.yaml").write_text(
        params.replace("\n  processes: 1\n", "\n  processes: 2\n")
    )
    for name in ("download", "prepare", "extract_features"):
        stage(f"pipelines.{name}", "--root", "two", "--shared", ".")
    first = machines[0][2]
    processes = []
    for into, cable, address in machines:
        torchrun = [
            *(*into, sys.executable, "-m", "torch.distributed.run", "--nnodes", "2"),
            *("--nproc-per-node", "1", "--rdzv-backend", "c10d", "--rdzv-id", "graft"),
            *("--rdzv-endpoint", f"{first}:29511", "--local-addr", address),
            *("--rdzv-conf", f"is_host={int(address == first)}"),
            *("-m", "pipelines.finetune", "--root", "two", "--shared", "."),
        ]
        told = {**environment, "GLOO_SOCKET_IFNAME": cable}
        processes.append(subprocess.Popen(torchrun, cwd=tmp_path, env=told))
    try:
        assert [process.wait(200) for process in processes] == [0, 0]
    finally:
        for process in processes:
            process.kill()
    for path in (tmp_path / "one/model").glob("*.safetensors"):
        one, two = load_file(path), load_file(tmp_path / "two/model" / path.name)
        assert one.keys() == two.keys()
        for name, tensor in one.items():
            np.testing.assert_allclose(tensor, two[name], rtol=1e-4, atol=1e-6, err_msg=name)
