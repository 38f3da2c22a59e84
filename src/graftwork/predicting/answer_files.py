"""The kinds of files that answers are written to, by their endings."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from graftwork.config.errors import UserError, check_choice
from graftwork.predicting.answer_file import AnswerFile
from graftwork.predicting.line_files import CsvFile, JsonlFile
from graftwork.predicting.parquet_file import ParquetFile


def answer_file(path: Path, classes: Sequence[str], model: str, top: int) -> AnswerFile:
    """The file of that ending.

    Raises:
        UserError: no such file is written.
    """
    kinds: dict[str, Callable[..., AnswerFile]]
    kinds = {".csv": CsvFile, ".jsonl": JsonlFile, ".parquet": ParquetFile}
    check_choice("--to: the file's ending", path.suffix, kinds)
    if path.is_dir():
        raise UserError(f"--to: {path} is a folder. Name a file in it.")
    return kinds[path.suffix](path, classes, model, top)
