"""Stock Lightning under the faults of `make chaos`: its own ModelCheckpoint, and `ckpt_path`.

python -m benchmarks.stock_lightning FILE SEED    # writes k of n by injection, as JSON
"""

from __future__ import annotations

import hashlib
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import torch

from benchmarks.stock_forks import ended, forked, killed_when
from graftwork.training.lightning import pl, torchmetrics

STEPS = 36  # of six an epoch
BIG = 24 * 2**20  # bytes of a checkpoint, so that its copying takes a moment
PATIENCE = 25.0  # seconds to end in, when asked


class Net(pl.LightningModule):
    """A layer behind dropout; ends itself before a step by a signal, if it is told to."""

    def __init__(
        self, at: int | None = None, number: int = signal.SIGKILL, ranks: str = "0"
    ) -> None:
        super().__init__()
        self.layers = torch.nn.Sequential(torch.nn.Dropout(0.1), torch.nn.Linear(8, 3))
        self.right = torchmetrics.classification.MulticlassAccuracy(3, average="micro")
        self.at, self.number, self.ranks = at, number, ranks

    def training_step(self, batch: Any, _: int) -> torch.Tensor:
        if self.global_step == self.at and os.environ.get("RANK", "0") in self.ranks:
            os.kill(os.getpid(), self.number)
        return torch.nn.functional.cross_entropy(self.layers(batch[0]), batch[1])

    def test_step(self, batch: Any, _: int) -> None:
        self.right(self.layers(batch[0]), batch[1])
        self.log("top1", self.right)

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.AdamW(self.parameters(), 0.01)


def data(count: int = 96) -> torch.utils.data.TensorDataset:
    random_ = torch.Generator().manual_seed(0)
    pictures = torch.randn(count, 8, generator=random_)
    return torch.utils.data.TensorDataset(pictures, pictures[:, :3].argmax(1))


def trainer(folder: Path, processes: int = 1, epochs: int = 6) -> pl.Trainer:
    kept = pl.callbacks.ModelCheckpoint(folder, save_last=True, every_n_train_steps=1)
    several = {"strategy": "ddp", "devices": processes} if processes > 1 else {"devices": 1}
    return pl.Trainer(
        accelerator="cpu", max_epochs=epochs, callbacks=[kept], logger=False,
        enable_progress_bar=False, enable_model_summary=False, **several,
    )  # fmt: skip


def train(folder: Path, net: Net, processes: int = 1) -> None:
    pl.seed_everything(0)
    loader = torch.utils.data.DataLoader(data(), 16, shuffle=True)
    last = folder / "last.ckpt"
    trainer(folder, processes).fit(net, loader, ckpt_path=str(last) if last.exists() else None)
    if os.environ.get("RANK", "0") == "0":
        (folder / "end").write_text(digest(net))


def digest(net: Net) -> str:
    weights = [value.numpy().tobytes() for value in net.layers.state_dict().values()]
    return hashlib.sha256(b"".join(weights)).hexdigest()


def resumed(place: Path, chance: random.Random, trials: int, processes: int) -> int:
    """Kills within an epoch; the end has the bits of a training that was let alone."""
    whole = place / f"whole of {processes}"
    assert set(ended(forked(lambda: train(whole, Net(), processes), processes))) == {0}
    held = 0
    for trial in range(trials):
        folder = place / f"killed {trial} of {processes}"
        at = chance.choice([step for step in range(1, STEPS // processes) if step % 3])
        ended(forked(lambda: train(folder, Net(at), processes), processes), 20)  # noqa: B023
        codes = ended(forked(lambda: train(folder, Net(), processes), processes), 60)  # noqa: B023
        equal = set(codes) == {0} and (folder / "end").read_text() == (whole / "end").read_text()
        held += equal
    return held


def asked(place: Path) -> tuple[int, str]:
    """SIGTERM to one process, each rank, both: 143, with the last step kept. What came is said."""
    held, said = 0, []
    for processes, ranks in ((1, "0"), (2, "0"), (2, "1"), (2, "01")):
        folder = place / f"asked {processes} {ranks}"
        net = Net(4, signal.SIGTERM, ranks)
        pids = forked(lambda: train(folder, net, processes), processes)  # noqa: B023
        codes = ended(pids, PATIENCE)
        hangs = f"there after {PATIENCE:.0f} s"
        said.append(hangs if None in codes else f"exit code {max(code or 0 for code in codes)}")
        held += codes == [143] * processes and _step(folder / "last.ckpt") >= 5
    return held, "one process, rank 0, rank 1, both: " + ", ".join(said)


def _step(path: Path) -> int:
    return int(torch.load(path, weights_only=False)["global_step"]) if path.exists() else -1


def killed_in_save(place: Path, trials: int) -> int:
    """Temporary files lie on another disk, as where /tmp is a tmpfs: the last good one loads."""
    held = 0
    for trial in range(trials):
        path = place / f"saved {trial}.ckpt"
        _save(path, 1)
        size = path.stat().st_size
        (pid,) = forked(lambda: _save(path, 2))  # noqa: B023
        killed_when(pid, lambda: path.stat().st_size < size)  # noqa: B023
        held += _loads(path)
    return held


def full_disk(place: Path) -> int:
    """A disk of 8 MiB with a good checkpoint of 4, and one of 24 to be written over it."""
    own = f"{sys.executable} -m benchmarks.stock_lightning --full {place}"
    disk = f"mount -t tmpfs -o size=8m tmpfs {place} && {own}"
    return int(subprocess.run(["unshare", "-rm", "sh", "-c", disk]).returncode == 0)


def _full(place: Path) -> bool:
    path = place / "last.ckpt"
    _save(path, 1, 4 * 2**20)
    try:
        _save(path, 2)
    except OSError:
        return _loads(path)
    return False


def _save(path: Path, number: int, size: int = BIG) -> None:
    from lightning_fabric.plugins import TorchCheckpointIO

    weights = torch.full((size // 4,), float(number))
    TorchCheckpointIO().save_checkpoint({"number": number, "weights": weights}, path)


def _loads(path: Path) -> bool:
    try:
        return bool(torch.load(path)["weights"].numel())
    except Exception:  # whatever torch says of half a file
        return False


def metric(place: Path) -> int:
    """`Trainer.test` of 3, 15 and 21 pictures by 2 and 3 processes: top-1 as by one."""
    return sum(
        _top1(place, count, processes) == _top1(place, count, 1)
        for count in (3, 15, 21)
        for processes in (2, 3)
    )


def _top1(place: Path, count: int, processes: int) -> float:
    path = place / f"top1 {count} {processes}"

    def test() -> None:
        pl.seed_everything(1)
        loader = torch.utils.data.DataLoader(data(count), 2)
        (found,) = trainer(path, processes).test(Net(), loader, verbose=False)
        if os.environ.get("RANK", "0") == "0":
            path.with_suffix(".json").write_text(json.dumps(found["top1"]))

    assert set(ended(forked(test, processes))) == {0}
    return float(json.loads(path.with_suffix(".json").read_text()))


def measured(seed: int) -> dict[str, Any]:
    """By the name of each injection: trials, and those that ended as they should."""
    chance, found = random.Random(seed), dict[str, Any]()

    def note(name: str, trials: int, held: int, begun: float, said: str = "") -> None:
        seconds = round(time.monotonic() - begun)
        found[name] = {"trials": trials, "held": held, "seconds": seconds, "note": said}

    with tempfile.TemporaryDirectory(prefix="stock-") as folder:
        place, begun = Path(folder), time.monotonic()
        note("killed, one process", 10, resumed(place, chance, 10, 1), begun)
        begun = time.monotonic()
        note("killed, two processes", 4, resumed(place, chance, 4, 2), begun)
        begun = time.monotonic()
        held, said = asked(place)
        note("asked to end", 4, held, begun, said)
        begun = time.monotonic()
        note("metric", 6, metric(place), begun)
    with tempfile.TemporaryDirectory(prefix="stock-", dir=Path.cwd()) as folder:
        os.environ["TMPDIR"] = tempfile.tempdir = "/dev/shm"
        begun = time.monotonic()
        note("killed in a save", 8, killed_in_save(Path(folder), 8), begun)
        begun = time.monotonic()
        note("disk full", 1, full_disk(Path(folder)), begun)
    return found


if __name__ == "__main__":
    torch.set_num_threads(1)
    if sys.argv[1] == "--full":
        raise SystemExit(int(not _full(Path(sys.argv[2]))))
    Path(sys.argv[1]).write_text(json.dumps(measured(int(sys.argv[2])), indent=1) + "\n")
