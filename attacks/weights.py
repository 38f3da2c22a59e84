"""Files that call themselves weights: pickles that run code, headers that lie, bombs."""

from __future__ import annotations

import builtins
import io
import json
import pickle
import struct
import tarfile
import zipfile
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from attacks.attack import COMMAND, Attack, Payload, file

PYTHON = f"__import__('os').system({COMMAND!r})"


def saved(content: Any, **options: Any) -> bytes:
    """As `torch.save` writes it."""
    import torch

    out = io.BytesIO()
    torch.save(content, out, **options)
    return out.getvalue()


def rewritten(archive: bytes, changes: Mapping[str, bytes]) -> bytes:
    """A file of torch with other members: those whose names end like that."""
    out = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(archive)) as old, zipfile.ZipFile(out, "w") as new:
        for name in old.namelist():
            changed = [content for end, content in changes.items() if name.endswith(end)]
            new.writestr(name, changed[0] if changed else old.read(name))
    return out.getvalue()


def plain() -> bytes:
    import torch

    return saved({"a": torch.ones(2, 2)})


def expanded() -> bytes:
    import torch

    return saved({"a": torch.zeros(1).expand(16, 10**9, 3, 3)})


def bomb() -> bytes:
    """64 kB that unpack to 64 MiB: a MiB would to a GiB."""
    import torch

    few, many = 10**6, 2**24  # values of four bytes
    out, pack = io.BytesIO(), struct.Struct("<i").pack
    with zipfile.ZipFile(io.BytesIO(saved({"a": torch.zeros(few)}))) as old:
        members = {name: old.read(name) for name in old.namelist()}
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as new:
        for name, content in members.items():
            if not name.endswith("data/0"):
                new.writestr(name, content.replace(pack(few), pack(many)))
                continue
            with new.open(name, "w") as member:
                member.write(bytes(many * 4))
    return out.getvalue()


def in_a_tar() -> bytes:
    """As torch wrote before 2016, with a pickle for each part."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        for name in ("storages", "tensors", "pickle"):
            content = pickle.dumps(Payload(), protocol=2)
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return out.getvalue()


def as_script() -> bytes:
    """What torch takes for TorchScript."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for name in ("data.pkl", "constants.pkl"):
            archive.writestr(f"archive/{name}", pickle.dumps(Payload(), 2))
        archive.writestr("archive/code/__torch__.py", PYTHON)
        archive.writestr("archive/version", "3")
    return out.getvalue()


def numpy_objects() -> bytes:
    import numpy as np

    out = io.BytesIO()
    np.save(out, np.array([Payload()], dtype=object), allow_pickle=True)
    return out.getvalue()


PICKLES: dict[str, Callable[[], bytes]] = {
    **{
        f"a pickle of protocol {p}": partial(pickle.dumps, Payload(), protocol=p)
        for p in range(pickle.HIGHEST_PROTOCOL + 1)
    },
    "eval": lambda: pickle.dumps(Payload(builtins.eval, PYTHON), protocol=2),
    "exec": lambda: pickle.dumps(Payload(builtins.exec, PYTHON), protocol=2),
    "a value of a file of torch": lambda: saved({"a": Payload()}),
    "an older file of torch": lambda: saved({"a": Payload()}, _use_new_zipfile_serialization=False),
    "a tar of pickles": in_a_tar,
    "behind the tensors": lambda: rewritten(plain(), {"data.pkl": pickle.dumps(Payload(), 2)}),
    "a module": lambda: saved(__import__("torch").nn.Linear(1, 1)),
    "an array of objects": numpy_objects,
}
KINDS = (".pth", ".ckpt", ".pt", ".bin")
REFUSED = "cannot be read as weights"


def header(entries: Any, data: bytes = b"", length: int | None = None) -> bytes:
    text = entries if isinstance(entries, bytes) else json.dumps(entries).encode()
    return struct.pack("<Q", len(text) if length is None else length) + text + data


def tensor(dtype: str = "F32", shape: Any = (2,), ends: Any = (0, 8)) -> dict[str, Any]:
    return {"a": {"dtype": dtype, "shape": list(shape), "data_offsets": list(ends)}}


TWICE = b'{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},"a":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}}'  # noqa: E501
EIGHT = bytes(8)
LIES: dict[str, bytes] = {
    "empty": b"",
    "a header of 8 EiB": header({}, length=2**63),
    "a header of -1 bytes": header({}, length=2**64 - 1),
    "a header longer than the file": header({}, length=1000),
    "offsets behind the end": header(tensor(ends=(0, 8000), shape=(2000,)), EIGHT),
    "offsets that go back": header(tensor(ends=(8, 0)), EIGHT),
    "offsets below zero": header(tensor(ends=(-8, 0)), EIGHT),
    "a gap": header(tensor(ends=(4, 12)), bytes(12)),
    "two tensors in one place": header(
        {**tensor(), "b": {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}}, EIGHT
    ),
    "a shape beyond the data": header(tensor(shape=(2**31, 2**31)), EIGHT),
    "a shape that overflows": header(tensor(shape=(2**62, 4, 2)), EIGHT),
    "a shape below zero": header(tensor(shape=(-2,)), EIGHT),
    "an unknown type": header(tensor("OBJECT"), EIGHT),
    "a name twice": header(TWICE, EIGHT),
    "more behind the last": header(tensor(), EIGHT * 2),
    "no JSON": header(b"{'a': __import__('os')}", EIGHT),
    "no UTF-8": header(b'{"\xff\xfe": 1}', EIGHT),
    "a list": header([1, 2], EIGHT),
    "deep": header(b'{"a":' * 20_000 + b"1" + b"}" * 20_000),
    "a pickle behind the header": header({}, pickle.dumps(Payload())),
    "a pickle alone": pickle.dumps(Payload()),
}


def behind_a_link(folder: Path) -> Path:
    (folder / "w.pth").symlink_to("/dev/zero")
    return folder / "w.pth"


WEIGHTS = [
    *(
        Attack(f"{name}, {kind}", file(f"w{kind}", make), REFUSED)
        for at, (name, make) in enumerate(PICKLES.items())
        for kind in (KINDS if at == 2 else KINDS[at % 4 :][:1])
    ),
    *(Attack(f"safetensors: {n}", file("w.safetensors", c), REFUSED) for n, c in LIES.items()),
    Attack("TorchScript", file("w.pth", as_script), REFUSED),
    Attack("tensors and more", file("w.pth", lambda: saved({"a": 1})), "more than named tensors"),
    Attack("a tensor of 576 GB in two kB", file("w.pth", expanded), "larger than the file"),
    Attack("a device without an end", behind_a_link, "no plain file"),
]
BOMBS = [Attack("weights of a thousand times their size", file("w.pth", bomb), "packed")]
