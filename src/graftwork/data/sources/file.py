"""A file that the user already has."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from graftwork.config.errors import UserError, nearest_first
from graftwork.data.sources.base import Source
from graftwork.data.sources.fetching import Pin, check_pin, verify


@dataclass(frozen=True)
class LocalFile(Source):
    """A pinned local file; used where it lies, hashed each time."""

    path: str  # relative: to the project's folder
    size: int  # bytes
    sha256: str

    def __post_init__(self) -> None:
        check_pin(self.size, self.sha256)

    def fetch(self, downloads: Path) -> Path:
        path = Path(self.path).expanduser().absolute()
        if not path.is_file():
            near = nearest_first(path.name, (p.name for p in path.parent.glob("*")))[:3]
            hint = f" Near it: {', '.join(near)}." if near else ""
            raise UserError(f"{path}: no such file.{hint} Set `path` to the file you have.")
        verify(path, Pin(self.size, self.sha256), str(path))
        return path

    @property
    def fingerprint(self) -> str:
        return self.sha256

    @property
    def origin(self) -> str:
        return self.path
