"""Archives are data from outside: nothing but plain files below the target leaves them."""

from __future__ import annotations

import errno
import gzip
import lzma
import stat
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path, PurePosixPath
from typing import IO

from graftwork.config.errors import UserError
from graftwork.data.sources.fetching import new_folder
from graftwork.process.progress import bytes_bar

CHUNK = 1 << 20  # bytes
PLAIN_BYTES = 64 << 20  # up to here no ratio is suspicious
DAMAGE = (
    tarfile.TarError,
    zipfile.BadZipFile,
    gzip.BadGzipFile,
    zlib.error,
    lzma.LZMAError,
    EOFError,
    NotImplementedError,  # a kind of compression that zipfile does not know
    RuntimeError,  # encrypted
)


@dataclass(frozen=True)
class Limits:
    """What an archive of pictures or weights never needs. Against bombs."""

    files: int = 500_000
    size: int = 100 << 30  # bytes, unpacked
    ratio: float = 100.0  # unpacked : packed, beyond the first 64 MiB


@dataclass(frozen=True)
class Member:
    """One plain file in an archive."""

    name: str
    size: int  # bytes, as the archive declares
    open: Callable[[], IO[bytes]]
    offset: int | None = None  # of its bytes in a plain tar


def unpack(archive: Path, target: Path, limits: Limits = Limits()) -> int:  # noqa: B008
    """Unpacks a zip or tar (also gz, bz2, xz) into a new folder, whole or not at all.

    Only names and bytes are taken: never owners, modes, links or devices.

    Returns:
        How many files were written.

    Raises:
        UserError: an absolute or climbing path, a link, a device, the same name twice, more than
            the limits, or an archive that is cut short or damaged. Nothing is left.
    """
    count = 0
    with (
        new_folder(target) as folder,
        members(archive, limits) as found,
        bytes_bar(f"unpack {archive.name}", None) as seen,
    ):
        total = 0
        for member in found:
            path = folder / member.name
            try:
                path.parent.mkdir(parents=True, exist_ok=True)
                file = path.open("xb")
            except (FileExistsError, NotADirectoryError) as error:
                raise _refused(archive, member.name, "stands in it twice") from error
            with file:
                total += _copy(archive, member, file.write)
            seen(total)
            count += 1
    return count


def take(archive: Path, name: str, target: Path) -> None:
    """Writes one file of an archive to `target`.

    Raises:
        UserError: it is not in there, or the archive is not to be trusted.
    """
    with members(archive, Limits()) as found, target.open("wb") as file:
        for member in found:
            if member.name == name:
                _copy(archive, member, file.write)
                return
    target.unlink()
    raise UserError(f"{archive.name}: there is no '{name}' in it.")


@dataclass(frozen=True)
class Placed:
    """One plain file in a plain tar, where it lies."""

    name: str
    offset: int  # bytes into the archive
    size: int  # bytes


def placed(archive: Path, limits: Limits = Limits()) -> Iterator[Placed]:  # noqa: B008
    """The plain files of an uncompressed tar, in its order: headers alone are read.

    Raises:
        UserError: as `unpack`, and for a packed one, in which nothing can be found again.
    """
    names, whole = set[str](), archive.stat().st_size
    try:
        with tarfile.open(archive, "r:") as tarred:
            for member in _within(archive, _of_tar(archive, tarred), limits):
                assert member.offset is not None
                if member.name in names:
                    raise _refused(archive, member.name, "stands in it twice")
                if member.offset + member.size > whole:
                    raise EOFError(f"'{member.name}' ends behind the end of the archive")
                names.add(member.name)
                yield Placed(member.name, member.offset, member.size)
    except DAMAGE as error:
        raise UserError(
            f"{archive}: cut short or damaged, or no plain tar ({error}). A packed one "
            "(.tar.gz) has to be unpacked to a plain one first."
        ) from error


def read_placed(archive: Path, offset: int, size: int) -> bytes:
    """The bytes of a file in a plain tar.

    Raises:
        OSError: the archive cannot be read, or ends before.
    """
    with archive.open("rb") as file:
        file.seek(offset)
        content = file.read(size)
    if len(content) < size:
        raise OSError(errno.EIO, "the archive has become shorter", str(archive))
    return content


@contextmanager
def members(archive: Path, limits: Limits) -> Iterator[Iterator[Member]]:
    """The plain files of an archive, in its order; each must be read before the next is asked.

    Raises:
        UserError: as `unpack`.
    """
    try:
        if zipfile.is_zipfile(archive):
            with zipfile.ZipFile(archive) as zipped:
                yield _within(archive, _of_zip(archive, zipped), limits)
        else:
            with tarfile.open(archive, "r|*") as tarred:
                yield _within(archive, _of_tar(archive, tarred), limits)
    except DAMAGE as error:
        raise UserError(
            f"{archive.name}: cut short or damaged, or no archive ({error}). Remove it and fetch "
            "it again."
        ) from error


def _within(archive: Path, found: Iterator[Member], limits: Limits) -> Iterator[Member]:
    packed = max(archive.stat().st_size, 1)
    total = 0
    for count, member in enumerate(found, start=1):
        _check_name(archive, member.name)
        total += member.size
        if count > limits.files:
            raise _refused(archive, member.name, f"is one of more than {limits.files} files")
        if total > limits.size:
            raise _refused(archive, member.name, f"exceeds {limits.size} bytes unpacked")
        if total > PLAIN_BYTES and total / packed > limits.ratio:
            raise _refused(archive, member.name, f"grows more than {limits.ratio:g}-fold: a bomb")
        yield member


def _of_zip(archive: Path, zipped: zipfile.ZipFile) -> Iterator[Member]:
    for info in zipped.infolist():
        kind = stat.S_IFMT(info.external_attr >> 16)
        if kind not in (0, stat.S_IFREG, stat.S_IFDIR):
            raise _refused(archive, info.filename, "is a link or a device")
        if not info.is_dir():
            yield Member(info.filename, info.file_size, partial(zipped.open, info))
        else:
            _check_name(archive, info.filename)


def _of_tar(archive: Path, tarred: tarfile.TarFile) -> Iterator[Member]:
    for info in tarred:
        _check_name(archive, info.name)
        if info.isdir():
            continue
        if not info.isreg() or info.issparse():
            raise _refused(archive, info.name, "is a link or a device")
        if hasattr(tarfile, "data_filter"):  # Python's own judgement, from 3.11.4 on
            tarfile.data_filter(info, ".")
        name = info.name.removeprefix("./")
        yield Member(name, info.size, partial(_opened, tarred, info), info.offset_data)


def _opened(tarred: tarfile.TarFile, info: tarfile.TarInfo) -> IO[bytes]:
    file = tarred.extractfile(info)
    assert file is not None, "plain files can be opened"
    return file


def _check_name(archive: Path, name: str) -> None:
    path = PurePosixPath(name)
    climbs = ".." in path.parts or path.is_absolute()
    windows = "\\" in name or (path.parts and path.parts[0].endswith(":"))
    if climbs or windows or "\0" in name:
        raise _refused(archive, name, "points outside of the target folder")


def _copy(archive: Path, member: Member, write: Callable[[bytes], object]) -> int:
    """Copies a member; a stream that holds more than it declares is a bomb."""
    done = 0
    with member.open() as stream:
        while chunk := stream.read(CHUNK):
            done += len(chunk)
            if done > member.size:
                raise _refused(archive, member.name, "holds more than it declares: a bomb")
            write(chunk)
    if done < member.size:
        raise EOFError(f"'{member.name}' ends after {done} of {member.size} bytes")
    return done


def _refused(archive: Path, name: str, reason: str) -> UserError:
    return UserError(f"{archive.name}: '{name}' {reason}. Refused; nothing was unpacked.")
