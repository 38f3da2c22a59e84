"""Every file of a project that carries a hash, read and compared: `graftwork doctor --verify`.

What is damaged in `store/` is noted or removed, so that the next start that needs it makes it
again.
Reads all of the store, the weights and the models: one to two seconds per GiB.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator

from graftwork.config.errors import UserError
from graftwork.data.sources.fetching import SHELF
from graftwork.features.engines import frozen, kept_files, openvino_engine
from graftwork.model_folder.contents import CONTRACT, damaged_files, read_contract
from graftwork.models.pretrained import RECEIPT
from graftwork.recording.reachable import check_readable
from graftwork.selecting.stored_match import is_whole
from graftwork.storage import handover
from graftwork.storage.array_store import ArrayStore
from graftwork.storage.artifacts import Artifacts
from graftwork.storage.files import DamageWarning, read_receipt, read_sealed, sha256_of
from graftwork.storage.leftovers import SHARDED
from graftwork.storage.shards import dtypes_of

AGAIN = "The next start that needs it makes it again."


def damaged(artifacts: Artifacts) -> list[str]:
    """Each damaged file, with its remedy."""
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always", DamageWarning)
        found = list(_found(artifacts))
    said = [str(entry.message) for entry in told if entry.category is DamageWarning]
    return sorted({*found, *said})


def _found(artifacts: Artifacts) -> Iterator[str]:
    for kind in SHARDED:
        for folder in sorted((artifacts.store / kind).glob("*")):
            for dtype in dtypes_of(folder):
                ArrayStore(folder, dtype, verify=True)  # warns of what is damaged
    yield from _networks(artifacts)
    for path in sorted(artifacts.folds.glob("*.npz")):
        if not is_whole(path.read_bytes()):
            yield f"{path}: damaged. {AGAIN}"
    for path in sorted(artifacts.profiles.glob("*.json")):
        read_sealed(path)
    for path in sorted(artifacts.downloads.glob("*/*")):
        shelved = SHELF.fullmatch(path.parent.name) and path.suffix != ".verified"
        if shelved and sha256_of(path) != path.parent.name:
            yield f"{path}: damaged. {AGAIN}"
    yield from _weights(artifacts)
    yield from _models(artifacts)
    yield from _handed_over(artifacts)


def _networks(artifacts: Artifacts) -> Iterator[str]:
    kinds = (artifacts.networks, artifacts.trained)
    for folder in sorted(path for kind in kinds for path in kind.glob("*") if path.is_dir()):
        about = read_sealed(folder / frozen.SPEC)
        tensors = folder / frozen.TENSORS
        if about and not (tensors.is_file() and sha256_of(tensors) == about["tensors_sha256"]):
            yield f"{tensors}: damaged. {AGAIN}"
        for path in folder.glob("verdict-*.json"):
            read_sealed(path)
        noted = {openvino_engine.NOTED: [folder / name for name in openvino_engine.FILES]}
        noted[openvino_engine.NOTED_COMPILED] = sorted((folder / "compiled").glob("*"))
        for record, files in noted.items():
            if (folder / record).is_file():
                for path in kept_files.not_as_noted(folder / record, files):
                    yield f"{path}: damaged. {AGAIN}"


def _weights(artifacts: Artifacts) -> Iterator[str]:
    for receipt in sorted((artifacts.shared / "data" / "weights").glob(f"*/{RECEIPT}")):
        noted = read_receipt(receipt, "The stage download makes it again.")
        file = receipt.parent / (noted.get("file") or "")
        if noted.get("file") and not (file.is_file() and sha256_of(file) == noted["sha256"]):
            yield f"{file}: damaged. The stage download brings it again."


def _models(artifacts: Artifacts) -> Iterator[str]:
    roots = (artifacts.model, artifacts.project / "runs", artifacts.mlflow_artifacts)
    for contract in sorted(path for root in roots for path in root.rglob(CONTRACT)):
        try:
            yield from damaged_files(contract.parent, read_contract(contract.parent))
        except UserError as error:
            yield str(error)


def _handed_over(artifacts: Artifacts) -> Iterator[str]:
    jobs = [path.parent.parent for path in (artifacts.project / "runs").rglob("costs/*.json")]
    for root in sorted({artifacts.root, *jobs}):
        yield from handover.damaged(handover.HANDED, Artifacts.at(root, artifacts.shared))


def records(artifacts: Artifacts) -> str | None:
    """What is wrong with the project's store of runs, if there is one."""
    if not artifacts.mlflow_db.is_file():
        return None
    try:
        check_readable(artifacts)
    except UserError as error:
        return str(error)
    return None
