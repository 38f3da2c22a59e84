"""Where a model's verified pretrained weights lie, and what is known of them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from filelock import FileLock

from graftwork.config.errors import UserError
from graftwork.data.sources.fetching import place
from graftwork.models.base import Model, Weights
from graftwork.storage.files import read_sealed, sha256_of, warn_damaged, write_sealed

RECEIPT = "weights.json"
RUNS = "runs"  # folder beside it: models of recorded runs, by id


def bring_weights(model: Model, folder: Path, downloads: Path, *, wanted: bool) -> None:
    """Fetches a model's weights into `folder` with a receipt; does nothing where they already are.

    Args:
        wanted: False where training starts from random weights: nothing is fetched, and what other
            experiments brought is left alone.

    Raises:
        UserError: they cannot be had, or do not match their pin.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with FileLock(folder.with_name(f".{folder.name}.lock")):
        receipt = _receipt(folder)
        if model.weights is None or not (wanted or receipt):
            write_sealed(folder / RECEIPT, {"file": None})
        if model.weights is None or not wanted:
            return
        if receipt.get("sha256") == model.weights.source.fingerprint and _is_whole(folder, receipt):
            return
        file = model.weights.source.fetch(downloads)
        sha256 = sha256_of(file)  # which was compared just now
        place(file, folder / file.name, sha256)
        write_sealed(folder / RECEIPT, _about(model.weights, file.name, sha256))


def _is_whole(folder: Path, receipt: dict[str, Any]) -> bool:
    file = folder / (receipt.get("file") or RECEIPT)
    if file.name == RECEIPT or not file.is_file():
        return False
    if whole := sha256_of(file) == receipt["sha256"]:
        return whole
    warn_damaged(file, "it is not what was verified", "It is brought again.")
    return False


def _about(weights: Weights, name: str, sha256: str) -> dict[str, Any]:
    return {
        "file": name,
        "sha256": sha256,
        "origin": weights.source.origin,
        "pretrained_on": weights.pretrained_on,
        "licence": weights.licence,
    }


def _receipt(folder: Path) -> dict[str, Any]:
    return read_sealed(folder / RECEIPT) or {}


def weights_receipt(folder: Path) -> dict[str, Any]:
    """What `bring_weights` left: file, sha256, origin, pretrained_on, licence; file null: none.

    Raises:
        UserError: nothing was brought yet.
    """
    receipt = _receipt(folder)
    if not receipt:
        raise UserError(f"{folder / RECEIPT}: no such file. Run the stage download first.")
    return receipt
