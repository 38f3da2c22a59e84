"""Answers as text, a row a line."""

from __future__ import annotations

import csv
import json
import os
from abc import abstractmethod
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import IO, Any

from graftwork.config.errors import UserError
from graftwork.predicting.answer_file import MODEL, AnswerFile
from graftwork.predicting.rows import Answer, Kept, number, rounded
from graftwork.process.terminal import visible
from graftwork.storage import csv_tables


class LineFile(AnswerFile):
    """Text, a row a line."""

    def __init__(self, path: Path, classes: Sequence[str], model: str, top: int) -> None:
        super().__init__(path, classes, model, top)
        self._file: IO[str] | None = None

    @property
    def header(self) -> str:
        """What the first line is, if it is no row."""
        return ""

    @abstractmethod
    def line(self, answer: Answer) -> str:
        """Of a row, with its end."""

    @abstractmethod
    def kept(self, line: str) -> Kept:
        """What a line says. Raises ValueError, TypeError or LookupError where it is no row."""

    def earlier(self) -> Iterator[Kept]:
        if not self.path.exists():
            return
        self._cut_torn_line()
        with self.path.open(encoding="utf-8", newline="") as file:
            if self.header and (first := file.readline()) not in ("", self.header):
                raise self.unlike(f"its first line is {first.strip()[:200]!r}")
            for count, line in enumerate(file, 1):
                try:
                    found = self.kept(line)
                except UserError:
                    raise
                except (ValueError, TypeError, LookupError) as error:
                    raise self.unlike(f"row {count}: {error!r}") from error
                yield found

    def _cut_torn_line(self) -> None:
        with self.path.open("rb+") as file:
            end = file.seek(0, os.SEEK_END)
            at = end
            while at:
                start = max(0, at - 65536)
                file.seek(start)
                found = file.read(at - start).rfind(b"\n")
                if found >= 0:
                    at = start + found + 1
                    break
                at = start
            if at < end:
                file.truncate(at)

    def append(self, answers: Sequence[Answer]) -> None:
        if self._file is None:
            self._file = self.path.open("a", encoding="utf-8", newline="")
            if not self._file.tell():
                self._file.write(self.header)
        self._file.writelines(map(self.line, answers))
        self._file.flush()

    def close(self) -> None:
        if self._file is not None:
            self._file.close()


class CsvFile(LineFile):
    """path, sha256, predicted, probability, class_2, probability_2, ..., model."""

    @property
    def header(self) -> str:
        kinds = ("class", "probability")
        further = (f"{kind}_{n}" for n in range(2, self.top + 1) for kind in kinds)
        return csv_tables.line(["path", "sha256", "predicted", "probability", *further, MODEL])

    def line(self, answer: Answer) -> str:
        cells = [answer.key, answer.sha256]
        for label in answer.likeliest(self.top):
            cells += [visible(self.classes[label]), number(answer.probabilities[label])]
        return csv_tables.line([*cells, self.model])

    def kept(self, line: str) -> Kept:
        path, sha256, predicted, probability, *rest = next(csv.reader([line]))
        return self.row(rest[-1], _plain(path), sha256, _plain(predicted), probability)


def _plain(cell: str) -> str:
    """Without what `harmless` put before it."""
    return cell[1:] if cell.startswith("'") and cell[1:].startswith(csv_tables.FORMULA) else cell


class JsonlFile(LineFile):
    """An object a line: path, sha256, predicted, probability, top (pairs), model."""

    def line(self, answer: Answer) -> str:
        labels = answer.likeliest(self.top)
        chances = rounded(answer.probabilities, labels)
        names = [self.classes[label] for label in labels]
        row: dict[str, Any] = {"path": answer.key, "sha256": answer.sha256}
        row |= {"predicted": names[0], "probability": chances[0]}
        row |= {"top": list(zip(names, chances, strict=True)), MODEL: self.model}
        return json.dumps(row) + "\n"

    def kept(self, line: str) -> Kept:
        row = json.loads(line)
        cells = (row[name] for name in (MODEL, "path", "sha256", "predicted", "probability"))
        return self.row(*cells)
