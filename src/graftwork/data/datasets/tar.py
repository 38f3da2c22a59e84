"""Pictures in tar shards, as WebDataset lays them out; nothing is unpacked."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from graftwork.config.errors import UserError
from graftwork.data.datasets.base import Dataset, Record
from graftwork.data.datasets.class_folders import SPLIT_NAMES, image_suffixes
from graftwork.data.datasets.left_out import LeftOut, check_name
from graftwork.data.datasets.own_files import existing, leave_receipt, listing
from graftwork.data.sources.unpacking import Placed, placed, read_placed

LABEL = ".cls"
LABEL_BYTES = 1024
PICTURE_BYTES = 512 << 20  # a file that is read whole
_REF = re.compile(r"(.*)::(.*)@(\d+)\+(\d+)", re.DOTALL)  # shard, name, offset and size in bytes


@dataclass(frozen=True)
class Tar(Dataset):
    """Shards, each a plain tar: `NAME.jpg` with its class in `NAME.cls`, or in class folders.

    Splits are told by the names of shards (`train-000.tar`, `val/000.tar`) or by folders in them.
    """

    path: str  # of a folder of shards, or of one; relative: to the project's folder

    def check(self) -> None:
        """Raises UserError unless there are shards, and the first holds pictures with classes."""
        for _ in self._of_shard(*self._shards()[0], LeftOut()):
            return
        raise UserError(
            f"dataset.path: no pictures in {self._shards()[0][0]}. Looked for NAME.jpg beside "
            f"NAME.cls, and for <class>/NAME.jpg. Legal: {' '.join(sorted(image_suffixes()))}."
        )

    def download(self, raw: Path, downloads: Path) -> None:
        """Copies nothing: leaves a listing of what there is, and of what is passed over."""
        left_out = LeftOut()
        counts = listing(self._records(left_out))
        facts = {"origin": str(existing(self.path, "folder")), **counts}
        leave_receipt(raw, self.name, "tar shards", {**facts, "left_out": left_out.receipt()})

    def records(self, raw: Path) -> Iterator[Record]:
        yield from self._records(LeftOut())

    def open(self, ref: str | Path) -> bytes:
        if not (found := _REF.fullmatch(str(ref))):
            return super().open(ref)  # a photo without a label, in a folder
        return read_placed(Path(found[1]), int(found[3]), int(found[4]))

    def file_of(self, ref: str | Path) -> Path:
        found = _REF.fullmatch(str(ref))
        return Path(found[1]) if found else super().file_of(ref)

    def _records(self, left_out: LeftOut) -> Iterator[Record]:
        for shard, split in self._shards():
            yield from self._of_shard(shard, split, left_out)

    def _shards(self) -> list[tuple[Path, str | None]]:
        """In a fixed order, with what their names say of the split."""
        root = existing(self.path, "folder")
        found = [root] if root.is_file() else sorted(root.rglob("*.tar"))
        shards = [path for path in found if path.is_file()]
        if not shards:
            packed = sorted(root.rglob("*.tar.*")) + sorted(root.rglob("*.tgz"))
            hint = (
                f" {packed[0].name} is packed: unpack it (gunzip) to a plain tar." if packed else ""
            )
            raise UserError(f"dataset.path: no *.tar in {root}.{hint} Set dataset.path to shards.")
        return [(path, _split_of(path, root)) for path in shards]

    def _of_shard(self, shard: Path, split: str | None, left_out: LeftOut) -> Iterator[Record]:
        members = [member for member in placed(shard) if not _is_hidden(member.name)]
        labels = {_key(it): _label(shard, it) for it in members if it.name.endswith(LABEL)}
        for member in members:
            suffix = PurePosixPath(member.name).suffix.lower()
            if suffix in image_suffixes():
                yield _record(shard, member, labels, split)
            elif suffix != LABEL:
                left_out.kinds[suffix or "no suffix"] += 1


def _record(shard: Path, member: Placed, labels: dict[str, str], split: str | None) -> Record:
    if member.size > PICTURE_BYTES:
        raise _refused(shard, member.name, f"is larger than {PICTURE_BYTES >> 20} MiB")
    if "::" in member.name:
        raise _refused(shard, member.name, "has '::' in its name")
    folders = list(PurePosixPath(member.name).parts[:-1])
    if len(folders) > 1 and folders[0].lower() in SPLIT_NAMES:
        split = SPLIT_NAMES[folders.pop(0).lower()]
    label = labels.get(_key(member)) if labels else next(iter(folders), None)
    if label is None:
        wanted = f"no {LABEL} beside it" if labels else f"neither a {LABEL} nor a class folder"
        raise _refused(shard, member.name, f"has {wanted}")
    place = Path(f"{shard}::{member.name}@{member.offset}+{member.size}")
    check_name(place)
    return Record(place, label, split)


def _split_of(shard: Path, root: Path) -> str | None:
    """By the folder that the shard lies in, or by the first word of its name."""
    words = [] if shard == root else list(shard.relative_to(root).parts[:-1])
    words.append(re.split(r"[-_.]", shard.name)[0])
    return next((SPLIT_NAMES[w.lower()] for w in words if w.lower() in SPLIT_NAMES), None)


def _is_hidden(name: str) -> bool:
    return any(part.startswith((".", "__MACOSX")) for part in PurePosixPath(name).parts)


def _key(member: Placed) -> str:
    """What the files of one picture have in common: all before the first dot of their names."""
    path = PurePosixPath(member.name)
    return str(path.with_name(path.name.partition(".")[0] or path.name))


def _label(shard: Path, member: Placed) -> str:
    if member.size > LABEL_BYTES:
        raise _refused(shard, member.name, f"is no class: it has {member.size} bytes")
    try:
        text = read_placed(shard, member.offset, member.size).decode("utf-8").strip()
    except UnicodeDecodeError as error:
        raise _refused(shard, member.name, "is no class: it is not in UTF-8") from error
    if not text or not text.isprintable():
        raise _refused(shard, member.name, "is no class: one line of text is expected")
    return text


def _refused(shard: Path, name: str, reason: str) -> UserError:
    return UserError(f"dataset.path: {shard}: '{name}' {reason}. Mend the shard, or remove it.")
