"""TensorBoard: event files under `tensorboard/` of the project, a folder a run."""

from __future__ import annotations

import re
import struct
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from graftwork.recorders.base import Place, Recorder, Recording, new_rows

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
        has = dict(_scalars(folder)) if place.resumed else {}
        events = Events(SummaryWriter(str(folder), filename_suffix=own), has)
        if not place.resumed:
            events.log_params(place.params)
        return events


class Events(Recording):
    """An open event file."""

    def __init__(self, writer: SummaryWriter, known: Mapping[tuple[str, int], float]) -> None:
        self._writer, self._known = writer, known

    def log_params(self, params: Mapping[str, str]) -> None:
        self._writer.add_text("params", as_table(params))

    def log_metrics(self, values: Mapping[str, float], step: int = 0) -> None:
        for name, value in new_rows(self._known, values, step).items():
            self._writer.add_scalar(name, float(value), step)
        self._writer.flush()  # who looks on sees the epoch that has just ended

    def set_tags(self, tags: Mapping[str, str]) -> None:
        self._writer.add_text("facts", as_table(tags))

    def finish(self, status: str = "FINISHED") -> None:
        self._writer.close()


def _scalars(folder: Path) -> Iterator[tuple[tuple[str, int], float]]:
    """What stands in a run's files, by name and step. Records of TensorFlow: length (8 bytes), its
    CRC (4), the event, its CRC (4); the last one of a killed process may be cut."""
    from tensorboardX.proto.event_pb2 import Event

    for path in sorted(folder.glob("events.*"), key=lambda path: path.stat().st_mtime):
        data, at = path.read_bytes(), 0
        while at + 12 <= len(data):
            (length,) = struct.unpack_from("<Q", data, at)
            begin, at = at + 12, at + 16 + length
            if at > len(data):
                break
            event = Event.FromString(data[begin : begin + length])
            for value in event.summary.value:
                if value.HasField("simple_value"):
                    yield (value.tag, event.step), value.simple_value


def as_table(values: Mapping[str, str]) -> str:
    """Markdown, which TensorBoard shows as a table. Values are text, never markup."""
    rows = [f"| {_plain(key)} | {_plain(value)} |" for key, value in values.items()]
    return "\n".join(["| key | value |", "|---|---|", *rows])


def _plain(text: str) -> str:
    return re.sub(r"([\\`*_{}\[\]<>()#+!|~-])", r"\\\1", " ".join(str(text).split()))
