"""Where pinned files come from."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from pathlib import Path

from graftwork.config.components import Component


@dataclass(frozen=True)
class Source(Component):
    """One pinned file. What arrives is not trusted until its size and sha256 match."""

    @abstractmethod
    def fetch(self, downloads: Path) -> Path:
        """The verified file, from `downloads` or, once, from where it is published.

        Raises:
            UserError: it cannot be had, or does not match its pin (both hashes are named).
        """

    @property
    @abstractmethod
    def fingerprint(self) -> str:
        """sha256 of the file's content, known without fetching it."""

    @property
    @abstractmethod
    def origin(self) -> str:
        """Where it comes from, in words, for tables and reports."""
