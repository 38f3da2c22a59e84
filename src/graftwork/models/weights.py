"""Weights files: read without running code, renamed, and loaded strictly."""

from __future__ import annotations

import re
import zipfile
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from graftwork.config.errors import UserError
from graftwork.models.auxiliary_places import auxiliary_names
from graftwork.models.input_channels import fit_first_convolution
from graftwork.models.key_maps import KEY_MAPS, Tensors

if TYPE_CHECKING:
    from torch import Tensor

    from graftwork.models.network.layer_groups import Backbone

SHOWN = 3  # differing names that an error lists


def load_weights(
    backbone: Backbone, path: Path, key_map: str, *, key: str = "model.weights"
) -> None:
    """Fills the backbone from a file; every tensor of both sides must find its partner.

    Only the classifier may be absent from the file, or have another number of classes: it is
    about to be replaced. Auxiliary classifiers of the file are left out for the same reason. A
    first convolution of other input channels is refitted.

    Args:
        key: of the configuration that names the file, for messages.

    Raises:
        UserError: names the first tensors that are missing, unexpected or of another shape.
    """
    if key_map == "by_position" and path.suffix == ".safetensors":
        raise UserError(
            f"{key}.key_map: by_position needs the order of the tensors, which a "
            "safetensors file does not keep. Choose by_name."
        )
    expected = backbone.state_dict()
    mapped = KEY_MAPS[key_map](read_tensors(path, key), expected)
    mapped = fit_first_convolution(backbone, mapped, expected)
    classifier = classifier_names(backbone) | auxiliary_names(backbone, [*expected, *mapped])
    if not any(name.endswith("num_batches_tracked") for name in mapped):  # written before torch 0.4
        mapped |= {n: t for n, t in expected.items() if n.endswith("num_batches_tracked")}
    wanted = {name: tensor for name, tensor in expected.items() if name not in classifier}
    offered = {name: tensor for name, tensor in mapped.items() if name not in classifier}
    if problems := misfits(wanted, offered):
        raise UserError(
            f"{key}: {path.name} does not fit the network: {'; '.join(problems)}. "
            f"Choose another model.architecture, or another {key}.key_map than "
            f"{key_map} (legal: {', '.join(KEY_MAPS)})."
        )
    backbone.load_state_dict(offered, strict=False)


def classifier_names(backbone: Backbone) -> set[str]:
    """Names of the tensors of the backbone's own classifier."""
    prefixes = backbone.pretrained_cfg.get("classifier") or ()
    if isinstance(prefixes, str):
        prefixes = (prefixes,)
    return {
        name
        for name in backbone.state_dict()
        if any(name.startswith(f"{prefix}.") for prefix in prefixes)
    }


def misfits(wanted: Tensors, offered: Tensors) -> list[str]:
    """What keeps tensors from filling a network: the first names of each kind."""
    return [
        *_listed("missing", (name for name in wanted if name not in offered)),
        *_listed("unexpected", (name for name in offered if name not in wanted)),
        *_listed(
            "of another shape",
            (
                f"{name} {list(offered[name].shape)}, the network has {list(wanted[name].shape)}"
                for name in wanted
                if name in offered and offered[name].shape != wanted[name].shape
            ),
        ),
    ]


def _listed(what: str, names: Iterable[str]) -> list[str]:
    found = list(names)
    if not found:
        return []
    more = f" and {len(found) - SHOWN} more" if len(found) > SHOWN else ""
    return [f"{what}: {', '.join(found[:SHOWN])}{more}"]


def read_tensors(path: Path, key: str = "model.weights") -> dict[str, Tensor]:
    """The tensors of a .safetensors or torch file, in the file's order. Runs no code from it.

    Raises:
        UserError: the file is neither, or holds more than tensors, or would take more memory than
            it takes of the disk.
    """
    import pickle

    import torch
    from safetensors.torch import load_file

    if not path.is_file():  # a pipe or device would be waited for, for ever
        raise UserError(f"{key}: {path}: {'no plain file' if path.exists() else 'no such file'}.")
    _check_not_packed(path, key)
    try:
        if path.suffix == ".safetensors":
            return load_file(path)
        content = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:  # whose text advises to run whatever is in the file
        asked = re.search(r"GLOBAL ([\w.]+)", str(error))
        if asked is None:
            raise UserError(
                f"{key}: {path} cannot be read as weights: it is no file of tensors. "
                "Take it again from where it is published."
            ) from None
        raise UserError(
            f"{key}: {path} cannot be read as weights: it holds more than tensors, and asks for "
            f"{asked[1]}, which is code. Nothing of it was run. Ask whoever made it for a file of "
            "the tensors alone (.safetensors)."
        ) from None
    except Exception as error:  # bytes that are no such file raise whatever they lead to
        reason = (str(error).splitlines() or [""])[0] or type(error).__name__
        if "weights_only" in reason:  # as above
            reason = "it is none that holds tensors alone"
        raise UserError(
            f"{key}: {path} cannot be read as weights: {reason}. It is damaged, or no such file: "
            "take it again from where it is published."
        ) from error
    for wrapper in ("state_dict", "model"):  # how training scripts wrap it
        if isinstance(content, dict) and isinstance(content.get(wrapper), dict):
            content = content[wrapper]
    if not (isinstance(content, dict) and all(torch.is_tensor(v) for v in content.values())):
        raise UserError(f"{key}: {path} holds more than named tensors.")
    if any(tensor.nbytes > path.stat().st_size for tensor in content.values()):
        raise UserError(f"{key}: {path} holds a tensor that is larger than the file.")
    return dict(content)


def _check_not_packed(path: Path, key: str) -> None:
    """Refuses a bomb: torch packs nothing in its zips, and members do not overlap."""
    if not zipfile.is_zipfile(path):
        return
    with zipfile.ZipFile(path) as archive:
        unpacked = sum(member.file_size for member in archive.infolist())
    if unpacked > path.stat().st_size:
        raise UserError(
            f"{key}: {path} is packed ({unpacked} bytes in {path.stat().st_size}), as torch packs "
            "nothing. Unpack it and save it again, or take it from where it is published."
        )
