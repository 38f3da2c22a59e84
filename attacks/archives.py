"""Archives that reach outside of their folder, or hold more than they say."""

from __future__ import annotations

import gzip
import io
import stat
import struct
import tarfile
import zipfile
from collections.abc import Callable
from functools import partial
from typing import Any

from attacks.attack import Attack, file

MIB = 2**20
REFUSED = "Refused; nothing was unpacked"
Member = tuple[str, bytes, dict[str, Any]]


def tar(*members: Member, mode: str = "w:gz") -> bytes:
    """Members by name, content and attributes of their headers."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode=mode) as archive:  # type: ignore[call-overload]
        for name, content, attributes in members:
            info = tarfile.TarInfo(name)
            info.size = len(content)
            for key, value in attributes.items():
                setattr(info, key, value)
            archive.addfile(info, io.BytesIO(content))
    return out.getvalue()


def zipped(*members: tuple[str, bytes], kind: int = 0) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members:
            info = zipfile.ZipInfo(name)
            info.external_attr = kind << 16
            info.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(info, content)
    return out.getvalue()


def link(target: str, kind: bytes = tarfile.SYMTYPE) -> dict[str, Any]:
    return {"type": kind, "linkname": target}


TARS: dict[str, list[Member]] = {
    "climbing": [("../evil", b"x", {})],
    "climbing inside": [("a/../../evil", b"x", {})],
    "climbing folder": [("../evil", b"", {"type": tarfile.DIRTYPE})],
    "absolute": [("/tmp/evil", b"x", {})],
    "absolute by two slashes": [("//tmp/evil", b"x", {})],
    "backslash": [("..\\evil", b"x", {})],
    "drive": [("C:/evil", b"x", {})],
    "a name that a header hides": [("a", b"x", {"pax_headers": {"path": "../evil"}})],
    "a symbolic link": [("evil", b"", link("/etc/passwd"))],
    "through a symbolic link": [("a", b"", link("..")), ("a/evil", b"x", {})],
    "a link to itself": [("a", b"", link("a"))],
    "a hard link": [("evil", b"", link("/etc/passwd", tarfile.LNKTYPE))],
    "a hard link to a neighbour": [("evil", b"", link("good.txt", tarfile.LNKTYPE))],
    "a device": [("evil", b"", {"type": tarfile.CHRTYPE, "devmajor": 1, "devminor": 3})],
    "a disk": [("evil", b"", {"type": tarfile.BLKTYPE, "devmajor": 8})],
    "a pipe": [("evil", b"", {"type": tarfile.FIFOTYPE})],
    "a file of holes": [
        ("evil", b"", {"pax_headers": {"GNU.sparse.map": "0,1", "GNU.sparse.size": "8000000000"}})
    ],
    "a name twice": [("evil", b"x", {}), ("evil", b"y", {})],
    "a file as folder": [("a", b"x", {}), ("a/evil", b"x", {})],
}
ZIPS: dict[str, tuple[str, int]] = {
    "climbing": ("../evil", 0),
    "climbing inside": ("a/../../evil", 0),
    "absolute": ("/evil", 0),
    "climbing folder": ("../evil/", 0),
    "backslash": ("..\\evil", 0),
    "a symbolic link": ("evil", stat.S_IFLNK | 0o777),
    "a pipe": ("evil", stat.S_IFIFO),
    "a device": ("evil", stat.S_IFCHR),
    "a socket": ("evil", stat.S_IFSOCK),
}


def lying() -> bytes:
    """Says that it holds seven bytes."""
    size = struct.Struct("<I").pack
    return zipped(("a", bytes(5000))).replace(size(5000), size(7))


def climbing_for_one_reader() -> bytes:
    """The directory says another name than the member itself."""
    return zipped(("aa/evil", b"x")).replace(b"aa/evil", b"../evil", 1)


def quine() -> bytes:
    """A hundred entries of the directory at one member: 42 MiB in 50 kB."""
    content = zipped(("a", bytes(42 * MIB)))
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        start = archive.start_dir
    entry, end = content[start:-22], bytearray(content[-22:])
    number = 100
    end[8:12] = struct.pack("<HH", number, number)
    end[12:16] = struct.pack("<I", len(entry) * number)
    entries = b"".join(
        entry[:46] + f"{at:02d}"[:1].encode() + entry[47:] if at else entry for at in range(number)
    )
    return content[:start] + entries + bytes(end)


ARCHIVES = [
    *(
        Attack(f"tar: {name}", file("evil.tgz", partial(tar, ("good.txt", b"x", {}), *m)), REFUSED)
        for name, m in TARS.items()
    ),
    *(
        Attack(
            f"zip: {n}", file("evil.zip", partial(zipped, (name, b"/etc/passwd"), kind=kind)),
            REFUSED,
        )
        for n, (name, kind) in ZIPS.items()
    ),
    Attack("zip: more than it says", file("evil.zip", lying), "a bomb|damaged"),
    Attack("zip: two names", file("evil.zip", climbing_for_one_reader), "damaged"),
    Attack("no archive", file("evil.tgz", b"#!/bin/sh\nreboot\n"), "no archive"),
    Attack("packed nothing", file("evil.gz", gzip.compress(b"no tar" * 100)), "no archive"),
]  # fmt: skip


def grown(make: Callable[..., bytes], *more: Any) -> Callable[[], bytes]:
    return lambda: make(("a", bytes(70 * MIB), *more))


BOMBS = [
    Attack("zip: 1000 times as much", file("bomb.zip", grown(zipped)), "100-fold: a bomb"),
    Attack("tar: 1000 times as much", file("bomb.tgz", grown(tar, {})), "100-fold: a bomb"),
    Attack("zip: a hundred at one place", file("bomb.zip", quine), "a bomb|damaged|twice"),
]
