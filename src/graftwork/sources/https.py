"""A file at a web address."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote, urlsplit

from graftwork.errors import UserError
from graftwork.sources.base import Source
from graftwork.sources.downloading import download
from graftwork.sources.fetching import Pin, check_pin, obtain, without_secrets


@dataclass(frozen=True)
class Https(Source):
    """A pinned file over https (plain http too: what counts is the hash)."""

    url: str
    size: int  # bytes
    sha256: str

    def __post_init__(self) -> None:
        parts = urlsplit(self.url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise UserError(f"url: '{self.url}' is no web address. Legal: https://host/path.")
        check_pin(self.size, self.sha256)

    def fetch(self, downloads: Path) -> Path:
        name = Path(unquote(urlsplit(self.url).path)).name or "file"
        return obtain(
            downloads,
            Pin(self.size, self.sha256),
            name,
            self.origin,
            lambda partial: download(self.url, partial, self.size),
        )

    @property
    def fingerprint(self) -> str:
        return self.sha256

    @property
    def origin(self) -> str:
        return without_secrets(self.url)
