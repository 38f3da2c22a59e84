"""timm's own hub: a file of a Hugging Face repository at a fixed revision."""

from __future__ import annotations

import os
import re
import shutil
from dataclasses import dataclass
from pathlib import Path

from graftwork.config.errors import UserError
from graftwork.data.sources.base import Source
from graftwork.data.sources.fetching import Pin, check_pin, obtain, place
from graftwork.data.sources.first_use import trusted

REMEDY = (
    "Check the network, the proxy (HTTPS_PROXY) and HF_ENDPOINT; HF_HUB_OFFLINE must not be set. "
    "Offline: fetch the file elsewhere and name it with "
    "_target_: graftwork.data.sources.file.LocalFile."
)


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
        name = Path(self.file).name
        if self.sha256:
            pin, sha256 = Pin(self.size, self.sha256), self.sha256
            return obtain(
                downloads, pin, name, self.origin, lambda to: place(self._from_hub(), to, sha256)
            )
        pin = Pin(self.size, None)
        return trusted(downloads, pin, self._address, self.origin, name, self._copy)

    def _copy(self, partial: Path) -> None:
        shutil.copyfile(self._from_hub(), partial)

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
