"""timm's own hub: a file of a Hugging Face repository at a fixed revision."""

from __future__ import annotations

import json
import os
import re
import warnings
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock

from graftwork.errors import UserError
from graftwork.sources.base import Source
from graftwork.sources.fetching import Pin, check_pin, obtain, place, sha256_of, verify, write_json

REMEDY = (
    "Check the network, the proxy (HTTPS_PROXY) and HF_ENDPOINT; HF_HUB_OFFLINE must not be set. "
    "Offline: fetch the file elsewhere and name it with "
    "_target_: graftwork.sources.file.LocalFile."
)


class UnpinnedWarning(UserWarning):
    """A file was trusted on first use."""


@dataclass(frozen=True)
class TimmHub(Source):
    """What timm downloads for `pretrained=True`, from the same place and into the same cache."""

    repository: str  # owner/name
    revision: str  # commit, tag or branch; a commit never changes
    file: str  # in the repository
    size: int | None  # bytes; null: not published
    sha256: str | None  # null: trusted on first use, and held to it afterwards

    def __post_init__(self) -> None:
        check_pin(self.size, self.sha256)
        if not re.fullmatch(r"[\w.-]+/[\w.-]+", self.repository):
            raise UserError(f"repository: '{self.repository}' is not of the form owner/name.")

    def fetch(self, downloads: Path) -> Path:
        if self.sha256:
            return self._obtain(downloads, self.sha256)
        record = downloads / "first_use" / f"{re.sub(r'[^A-Za-z0-9.-]', '_', self._address)}.json"
        record.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(record.with_suffix(".lock")):
            if record.is_file():
                return self._obtain(downloads, json.loads(record.read_text())["sha256"])
            return self._trust(downloads, record)

    def _trust(self, downloads: Path, record: Path) -> Path:
        cached = self._from_hub()
        verify(cached, Pin(self.size, None), self.origin)
        sha256 = sha256_of(cached)
        warnings.warn(
            f"{self.origin}: no hash is pinned. sha256 {sha256} is trusted from now on; pin it in "
            "the model's configuration (weights.source.sha256).",
            UnpinnedWarning,
            stacklevel=2,
        )
        path = self._obtain(downloads, sha256, cached)
        write_json(record, {"origin": self.origin, "sha256": sha256})
        return path

    def _obtain(self, downloads: Path, sha256: str, cached: Path | None = None) -> Path:
        return obtain(
            downloads,
            Pin(self.size, sha256),
            Path(self.file).name,
            self.origin,
            lambda partial: place(cached or self._from_hub(), partial, sha256),
        )

    def _from_hub(self) -> Path:
        """The file in the hub's own cache: its client resumes, retries and shows progress."""
        os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
        from huggingface_hub import hf_hub_download
        from huggingface_hub.errors import HFValidationError, LocalEntryNotFoundError

        try:
            path = hf_hub_download(self.repository, self.file, revision=self.revision)
        except (HFValidationError, LocalEntryNotFoundError, OSError) as error:
            reason = str(error).strip().partition("\n")[0].rstrip(".")
            raise UserError(f"{self.origin} could not be fetched: {reason}. {REMEDY}") from error
        return Path(path).resolve()

    @property
    def _address(self) -> str:
        return f"{self.repository}@{self.revision}/{self.file}"

    @property
    def fingerprint(self) -> str:
        """Without a pin: the address, which fixes the content where the revision is a commit."""
        return self.sha256 or f"hub:{self._address}"

    @property
    def origin(self) -> str:
        return f"Hugging Face: {self._address}"
