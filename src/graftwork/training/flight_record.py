"""What is written down of a step that was not taken, so that it can be looked at again."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from graftwork.process.terminal import visible
from graftwork.training.diverging import REMEDY, Diverged, Step, pictures_named

RECORD = "diverged.step"  # JSON; a name of its own, since receipts of checkpoints end with .json

if TYPE_CHECKING:
    from graftwork.training.datamodule import Key
    from graftwork.training.fitted import Fitting


def record_of(whole: Fitting, attempt: int, at: Step, before: Sequence[float]) -> dict[str, Any]:
    """As JSON has it: numbers in hexadecimal, bit for bit; pictures by process.

    Args:
        before: losses of the steps before it, as many as the guard has.
    """
    return {
        "root": str(whole.artifacts.root),
        "wrong": at.wrong,
        "epoch": at.epoch,
        "step": at.step,
        "done": at.done,
        "attempt": attempt,
        "seed": whole.experiment.seed,
        **{name: getattr(at, name).hex() for name in ("loss", "total", "norm")},
        "before": [loss.hex() for loss in before],
        "shown": [_shown(whole, keys) for keys in whole.data.order().keys(at.epoch, at.step)],
    }


def _shown(whole: Fitting, keys: Sequence[Key]) -> dict[str, Any]:
    """A process's part of the step."""
    rows = whole.shown.fit.iloc[[index % len(whole.shown.fit) for _, index in keys]]
    columns = {name: rows[name].tolist() for name in ("path", "sha256", "label")}
    return {"keys": [list(key) for key in keys], **columns}


def newest_record(folder: Path) -> tuple[Path, dict[str, Any]] | None:
    """The step that a fine-tuning wrote down last, and the folder of its leg."""
    found = sorted(folder.glob(f"*/{RECORD}"), key=lambda path: path.stat().st_mtime_ns)
    return (found[-1].parent, json.loads(found[-1].read_text())) if found else None


def diverged(at: Step, pictures: Sequence[str], root: Path | None) -> Diverged:
    """What a training that ends at this step says.

    Args:
        pictures: paths of the batch's.
        root: folder of the experiment; None: no checkpoints were wanted.
    """
    named = f"{at}, a batch of {len(pictures)} pictures ({pictures_named(pictures)})"
    kept = (
        f"It is kept as it was before that step: `graftwork replay {root}` runs the step again and "
        "shows it; started again with trainer.on_divergence=skip, training goes on without it. Or "
        f"begin anew: {REMEDY[0].lower()}{REMEDY[1:]}"
    )
    if root is None:
        kept = f"Nothing of it was kept, since trainer.checkpoint_minutes says so. {REMEDY}"
    return Diverged(visible(named), at.done, at, visible(kept))
