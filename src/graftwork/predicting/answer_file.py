"""Files of answers: rows are appended while they come, and an earlier start's are not asked again.

A row names its model, so that answers of two never stand in one file. CSV and JSONL grow line by
line; a line that a kill cut is taken away by the next start. Parquet cannot grow: rows are
collected in a folder of parts beside the file, which are joined when the work ends or is cut.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from pathlib import Path

from filelock import FileLock, Timeout

from graftwork.config.errors import UserError
from graftwork.predicting.rows import Answer, Kept
from graftwork.process.terminal import visible

MODEL = "model"  # the column that names it


class AnswerFile(ABC):
    """Answers of one model.

    Args:
        path: of the file.
        classes: names, in the order of probabilities.
        model: what tells it from others.
        top: so many classes of each photo, the likeliest first.
    """

    def __init__(self, path: Path, classes: Sequence[str], model: str, top: int) -> None:
        self.path, self.classes, self.model = path, list(classes), model
        self.top = min(top, len(classes))
        # A text file has names as terminals show them.
        self._names = {visible(name): name for name in classes} | {name: name for name in classes}
        self._lock = FileLock(path.with_name(f".{path.name}.lock"))

    def __enter__(self) -> AnswerFile:
        """Raises UserError where another process writes into it."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        try:
            self._lock.acquire(timeout=0)
        except Timeout:
            raise UserError(
                f"--to: another process writes into {self.path}. Wait, or name another."
            ) from None
        return self

    def __exit__(self, *_: object) -> None:
        try:
            self.close()
        finally:
            self._lock.release()
            Path(self._lock.lock_file).unlink(missing_ok=True)

    @abstractmethod
    def earlier(self) -> Iterator[Kept]:
        """The rows that are there.

        Raises:
            UserError: they are another model's, or none that this file writes.
        """

    @abstractmethod
    def append(self, answers: Sequence[Answer]) -> None:
        """Writes rows behind those that are there; `earlier` has been read before."""

    @abstractmethod
    def close(self) -> None:
        """Nothing more comes, now."""

    def row(self, model: object, key: str, sha256: str, predicted: str, chance: object) -> Kept:
        """What a row says.

        Raises:
            UserError: it is another model's.
            ValueError, TypeError, KeyError: it is no row of this file.
        """
        self.check_model(model)
        return Kept(key, sha256, self._names[predicted], float(str(chance)))

    def check_model(self, model: object) -> None:
        """Raises UserError unless it is this file's."""
        if model != self.model:
            raise UserError(
                f"--to: {self.path} holds answers of another model ({visible(model)}, this one is "
                f"{self.model}). Name another file, or remove that one."
            )

    def unlike(self, why: object) -> UserError:
        """The error for a file that this one could not have written."""
        return UserError(
            f"--to: {self.path} is no file of such answers ({visible(why)}). Name another, or "
            "remove it."
        )
