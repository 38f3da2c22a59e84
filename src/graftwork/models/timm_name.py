"""The weights that timm itself would download for a name, whatever the name."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from graftwork.config.errors import UserError, unknown
from graftwork.data.sources.base import Source
from graftwork.data.sources.timm_hub import TimmHub


@dataclass(frozen=True)
class TimmName(Source):
    """timm's default weights of an architecture: trusted on first use, then held to it.

    For a reported result pin the file with graftwork.data.sources.timm_hub.TimmHub instead.
    """

    architecture: str  # `name` or `name.tag`

    def fetch(self, downloads: Path) -> Path:
        return self._hub().fetch(downloads)

    def _hub(self) -> TimmHub:
        """Where timm keeps the weights: its own table is asked, which imports timm."""
        from graftwork.models.backbones import register
        from graftwork.process.vision import timm

        register()
        try:
            config = timm.models.get_pretrained_cfg(self.architecture, allow_unregistered=True)
        except RuntimeError as error:  # the name is right, its tag is not
            name = self.architecture.partition(".")[0]
            legal = timm.list_models(f"{name}.*", pretrained=True)
            raise unknown("model.architecture", self.architecture, legal) from error
        repository = config and config.hf_hub_id
        if not repository:
            raise UserError(
                f"model.weights: timm has no weights for '{self.architecture}' on its hub. "
                "Choose transfer=from_scratch, or another "
                "model.architecture."
            )
        return TimmHub(repository, "main", "model.safetensors", size=None, sha256=None)

    @property
    def fingerprint(self) -> str:
        """The name; what it stood for is in the receipt of the download."""
        return f"timm:{self.architecture}"

    @property
    def origin(self) -> str:
        return f"timm's hub: {self.architecture}"
