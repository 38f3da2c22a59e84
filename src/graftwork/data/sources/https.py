"""A file at a web address."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote, urlsplit

from graftwork.config.errors import UserError
from graftwork.data.sources.base import Source
from graftwork.data.sources.downloading import download
from graftwork.data.sources.fetching import Pin, check_pin, obtain, without_secrets
from graftwork.data.sources.first_use import trusted

FEWEST = 8  # digits of a hash: torch.hub's convention


@dataclass(frozen=True)
class Https(Source):
    """A pinned file over https (plain http too: what counts is the hash).

    Some publishers give only the first digits of the hash, such as torch.hub in the names of its
    files (`alexnet-owt-7be5be79.pth`). Eight or more of them are a pin against damage, though not
    against forgery: what arrives must begin with them, and is held to its whole hash afterwards.
    """

    url: str
    size: int | None  # bytes; null: not published
    sha256: str  # or its first digits, in quotes

    def __post_init__(self) -> None:
        parts = urlsplit(self.url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise UserError(f"url: '{self.url}' is no web address. Legal: https://host/path.")
        check_pin(self.size, None)
        if not re.fullmatch(f"[0-9a-f]{{{FEWEST},64}}", self.sha256):
            raise UserError(
                f"sha256: '{self.sha256}' is no sha256. Legal: its 64 digits 0-9 a-f, as "
                f"`sha256sum` prints them, or the first {FEWEST} or more, in quotes."
            )

    def fetch(self, downloads: Path) -> Path:
        name = Path(unquote(urlsplit(self.url).path)).name or "file"
        pin = Pin(self.size, self.sha256)
        if self._is_whole:
            return obtain(downloads, pin, name, self.origin, self._download)
        return trusted(downloads, pin, self.origin, self.origin, name, self._download)

    def _download(self, partial: Path) -> None:
        download(self.url, partial, self.size)

    @property
    def _is_whole(self) -> bool:
        return len(self.sha256) == 64

    @property
    def fingerprint(self) -> str:
        """Without the whole hash: its first digits and the address."""
        return self.sha256 if self._is_whole else f"{self.sha256}:{self.origin}"

    @property
    def origin(self) -> str:
        return without_secrets(self.url)
