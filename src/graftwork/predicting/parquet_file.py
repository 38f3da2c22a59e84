"""Answers as Parquet: the columns of reports/predictions.parquet that need no label."""

from __future__ import annotations

import json
import shutil
import uuid
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from graftwork.predicting.answer_file import MODEL, AnswerFile
from graftwork.predicting.rows import Answer, Kept
from graftwork.storage.files import beside, named, remove

if TYPE_CHECKING:
    import pyarrow as pa

PART = 1024  # rows
JOINED = b"joined"  # in the schema: parts that the file holds


class ParquetFile(AnswerFile):
    """sha256, path, predicted, probability, probabilities (a list, in the order of classes), model.

    The schema's metadata has the classes.
    """

    def __init__(self, path: Path, classes: Sequence[str], model: str, top: int) -> None:
        super().__init__(path, classes, model, top)
        self._parts = path.with_name(f".{path.name}.parts")
        self._waiting: list[Answer] = []

    @property
    def _schema(self) -> pa.Schema:
        import pyarrow as pa

        text = pa.string()
        columns = {
            "sha256": text, "path": text, "predicted": text, "probability": pa.float32(),
            "probabilities": pa.list_(pa.float32(), len(self.classes)), MODEL: text,
        }  # fmt: skip
        return pa.schema(list(columns.items()), {"classes": json.dumps(self.classes)})

    def _files(self) -> list[Path]:
        """Of all rows that are there, in order; without parts that were joined before a kill."""
        import pyarrow as pa
        import pyarrow.parquet as pq

        parts = sorted(self._parts.glob("*.parquet"))
        if not self.path.exists():
            return parts
        try:
            known = pq.read_schema(self.path).metadata or {}
        except (pa.ArrowException, OSError) as error:
            raise self.unlike(error) from error
        joined = json.loads(known.get(JOINED, b"[]"))
        return [self.path, *(part for part in parts if part.name not in joined)]

    def earlier(self) -> Iterator[Kept]:
        import pyarrow as pa
        import pyarrow.parquet as pq

        for file in self._files():
            try:
                found = pq.ParquetFile(file)
            except pa.ArrowException as error:
                raise self.unlike(f"{file.name}: {error}") from error
            with found:
                if found.schema_arrow.names != self._schema.names:
                    raise self.unlike(f"its columns are {', '.join(found.schema_arrow.names)}")
                columns = [MODEL, "path", "sha256", "predicted", "probability"]
                for batch in found.iter_batches(PART, columns=columns):
                    for cells in zip(*(c.to_pylist() for c in batch.columns), strict=True):
                        yield self.row(*cells)

    def append(self, answers: Sequence[Answer]) -> None:
        self._waiting += answers
        if len(self._waiting) >= PART:
            self._write_part()

    def _write_part(self) -> None:
        import pyarrow as pa
        import pyarrow.parquet as pq

        rows, self._waiting = self._waiting, []
        chances = np.stack([answer.probabilities for answer in rows])
        names = np.asarray(self.classes, dtype=object)
        columns = [
            pa.array([answer.sha256 for answer in rows]),
            pa.array([answer.key for answer in rows]),
            pa.array(names[chances.argmax(axis=1)], pa.string()),
            pa.array(chances.max(axis=1)),
            pa.FixedSizeListArray.from_arrays(pa.array(chances.ravel()), chances.shape[1]),
            pa.array([self.model] * len(rows)),
        ]
        self._parts.mkdir(exist_ok=True)
        count = len(list(self._parts.glob("*.parquet")))
        part = self._parts / f"{count:08}-{uuid.uuid4().hex[:8]}.parquet"
        partial = beside(part)
        with named(part):
            pq.write_table(pa.table(columns, schema=self._schema), partial)
        partial.rename(part)

    def close(self) -> None:
        """Joins what is there, a part at a time."""
        import pyarrow.parquet as pq

        if self._waiting:
            self._write_part()
        if not self._parts.is_dir():
            return
        partial = beside(self.path)
        try:
            files = self._files()
            names = {JOINED: json.dumps([file.name for file in files])}
            schema = self._schema.with_metadata({**(self._schema.metadata or {}), **names})
            with named(self.path), pq.ParquetWriter(partial, schema) as writer:
                for file in files:
                    with pq.ParquetFile(file) as found:
                        for batch in found.iter_batches(PART):
                            writer.write_batch(batch.replace_schema_metadata(schema.metadata))
            partial.replace(self.path)
        finally:
            remove(partial)
        shutil.rmtree(self._parts)
