"""TensorBoard: event files under `tensorboard/` of the project, a folder a run."""

from __future__ import annotations

import re
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from graftwork.recorders.base import Place, Recorder, Recording

if TYPE_CHECKING:
    from tensorboardX import SummaryWriter


@dataclass(frozen=True)
class TensorBoard(Recorder):
    """Curves, parameters and facts as TensorBoard shows them; pictures stay with the report."""

    PACKAGE: ClassVar[str] = "tensorboardX"
    EXTRA: ClassVar[str] = "tensorboard"

    folder: str  # below the project's

    def open(self, place: Place) -> Recording:
        from tensorboardX import SummaryWriter

        # People read the name, and a run that is opened again is found by its id.
        name = re.sub(r"[^\w.=,-]+", "_", place.name, flags=re.ASCII)[:100]
        known = sorted((place.project / self.folder).glob(f"*-{place.run_id[:8]}"))
        folder = known[0] if known else place.project / self.folder / f"{name}-{place.run_id[:8]}"
        # Files are named by the second: two stages in one would write over each other.
        own = f".{uuid.uuid4().hex[:8]}"
        events = Events(SummaryWriter(str(folder), filename_suffix=own))
        if not place.resumed:
            events.log_params(place.params)
        return events


class Events(Recording):
    """An open event file."""

    def __init__(self, writer: SummaryWriter) -> None:
        self._writer = writer

    def log_params(self, params: Mapping[str, str]) -> None:
        self._writer.add_text("params", as_table(params))

    def log_metrics(self, values: Mapping[str, float], step: int = 0) -> None:
        for name, value in values.items():
            self._writer.add_scalar(name, float(value), step)
        self._writer.flush()  # who looks on sees the epoch that has just ended

    def set_tags(self, tags: Mapping[str, str]) -> None:
        self._writer.add_text("facts", as_table(tags))

    def finish(self, status: str = "FINISHED") -> None:
        self._writer.close()


def as_table(values: Mapping[str, str]) -> str:
    """Markdown, which TensorBoard shows as a table. Values are text, never markup."""
    rows = [f"| {_plain(key)} | {_plain(value)} |" for key, value in values.items()]
    return "\n".join(["| key | value |", "|---|---|", *rows])


def _plain(text: str) -> str:
    return re.sub(r"([\\`*_{}\[\]<>()#+!|~-])", r"\\\1", " ".join(str(text).split()))
