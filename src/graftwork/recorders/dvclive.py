"""DVCLive: metrics and curves in the files that `dvc exp show` and `dvc plots show` read."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from graftwork.config.errors import UserError
from graftwork.recorders.base import Place, Recorder, Recording, new_rows

if TYPE_CHECKING:
    from dvclive.live import Live


@dataclass(frozen=True)
class DvcLive(Recorder):
    """Files alone: it saves no experiment, commits nothing and edits no dvc.yaml but its own."""

    PACKAGE: ClassVar[str] = "dvclive"
    EXTRA: ClassVar[str] = "dvclive"

    folder: str  # below the experiment's

    def open(self, place: Place) -> Recording:
        here = Path.cwd()
        if not any((folder / ".dvc").is_dir() for folder in (here, *here.parents)):
            raise UserError(f"{here} is no project of DVC, and DVCLive would make one.")
        from dvclive.live import Live

        folder = place.root / self.folder
        return Files(
            Live(
                str(folder),
                resume=place.resumed,
                save_dvc_exp=False,
                dvcyaml=str(folder / "dvc.yaml"),
            ),
            dict(_curves(folder / "plots" / "metrics")) if place.resumed else {},
        )


class Files(Recording):
    """An open folder of DVCLive. Params are DVC's already, in params.yaml."""

    def __init__(self, live: Live, known: Mapping[tuple[str, int], float]) -> None:
        self._live, self._known = live, known

    def log_metrics(self, values: Mapping[str, float], step: int = 0) -> None:
        if not (values := new_rows(self._known, values, step)):
            return
        self._live.step = step
        for name, value in values.items():
            self._live.log_metric(name, float(value))
        self._write()

    def finish(self, status: str = "FINISHED") -> None:
        self._write()  # not `end`, which in `dvc exp run` adds the files to git

    def _write(self) -> None:
        self._live.make_summary()
        self._live.make_dvcyaml()


def _curves(folder: Path) -> Iterator[tuple[tuple[str, int], float]]:
    """What stands in its files, by name and step: a table each, of steps and values."""
    for path in sorted(folder.rglob("*.tsv")):
        name = path.relative_to(folder).with_suffix("").as_posix()
        with path.open(newline="") as file:
            for row in csv.DictReader(file, delimiter="\t"):
                yield (name, int(row["step"])), float(row[path.stem])
