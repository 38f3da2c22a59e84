"""`graftwork predict`: what a model says of photos."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from graftwork.config.errors import UserError, check_choice, check_range
from graftwork.features.engines.keys import digest
from graftwork.model_folder import contents as model_folder
from graftwork.model_folder.contents import Contract
from graftwork.predicting import gallery, told
from graftwork.predicting.answer_file import AnswerFile
from graftwork.predicting.answer_files import answer_file
from graftwork.predicting.listing import named
from graftwork.predicting.rows import Answer, Kept
from graftwork.predicting.sorted_photos import SortedPhotos
from graftwork.predicting.tally import Tally
from graftwork.process.progress import speed_bar
from graftwork.process.stopping import end_on_sigterm
from graftwork.process.terminal import visible
from graftwork.recording.named_models import named_model
from graftwork.reporting.numbers import number
from graftwork.serving.answering import ModelAnswers
from graftwork.serving.places import kept_networks
from graftwork.serving.reading import Photo, PhotoBatch, read_batch
from graftwork.serving.settings import Settings
from graftwork.settings.extraction import ENGINES, PRECISIONS
from graftwork.storage import csv_tables
from graftwork.storage.artifacts import Artifacts

KEPT = "an earlier start asked about it"
CUT = 130  # exit code after Ctrl-C


@dataclass(frozen=True)
class Outputs:
    """What becomes of answers beside the terminal's table."""

    to: Path | None  # .csv, .jsonl or .parquet
    top: int  # classes of a photo in tables and text files
    copy_into: Path | None
    copy: bool  # not links
    gallery: Path | None


def predict(
    model: str, words: Sequence[str], outputs: Outputs, engine: str | None, precision: str | None
) -> int:
    """Asks a model about photos.

    Args:
        model: its folder, a run's folder, or `run:ID`.
        words: what names photos; see graftwork.predicting.listing.
        engine, precision: as of conf/evaluation; None: as the run's own evaluation was told.

    Returns:
        the exit code: 0; 1 where a photo has no answer; 130 after Ctrl-C.

    Raises:
        UserError: something is missing or wrong, before any photo is asked about.
    """
    check_range("--top", outputs.top, 1)
    if outputs.gallery is not None and outputs.gallery.is_dir():
        raise UserError(f"--gallery: {outputs.gallery} is a folder. Name a file in it.")
    folder = named_model(model, Artifacts.at("."))
    contract = model_folder.read_contract(folder)
    settings = _settings(folder, contract, engine, precision)
    file = None
    if outputs.to is not None:
        file = answer_file(outputs.to, contract.classes, identity(contract), outputs.top)
    sorted_photos = None
    if outputs.copy_into is not None:
        sorted_photos = SortedPhotos(outputs.copy_into, contract.classes, outputs.copy, words)
    paths = named(words)
    end_on_sigterm()
    with ExitStack() as stack:
        if file is not None:
            stack.enter_context(file)
        kept = stack.enter_context(kept_networks(folder))
        work = _Work(contract, settings, file, sorted_photos)
        cut = work.done(folder, kept, paths)
    if outputs.to is not None:
        _list_unread(outputs.to, work.tally)
    told.show(work.tally, contract.classes, outputs.top)
    told.show_unread(work.tally, everything=outputs.to is None)
    if outputs.gallery is not None:
        gallery.write(outputs.gallery, visible(folder), work.tally, contract)
    _say_where(outputs, work.tally)
    if cut:
        print("Cut: what was answered stands. The same command goes on from there.")
        return CUT
    return int(bool(work.tally.unread))


def _settings(
    folder: Path, contract: Contract, engine: str | None, precision: str | None
) -> Settings:
    found = Settings.of(folder, model_folder.was_trained(folder, contract))
    if engine is not None:
        check_choice("--engine", engine, ENGINES)
        found = replace(found, engine=engine)
    if precision is not None:
        check_choice("--precision", precision, PRECISIONS)
        found = replace(found, precision=precision)
    return found


def identity(contract: Contract) -> str:
    """What tells a model from others: all that decides what it says of a photo's bytes."""
    names = ("architecture", "classes", "input_spec", "preprocessing", "weights_sha256")
    return digest({name: getattr(contract, name) for name in names})[:12]


class _Work:
    """All photos, a batch at a time."""

    def __init__(
        self, contract: Contract, settings: Settings,
        file: AnswerFile | None, sorted_photos: SortedPhotos | None,
    ) -> None:  # fmt: skip
        self._contract, self._settings = contract, settings
        self._file, self._sorted = file, sorted_photos
        self._earlier: dict[str, Kept] = {}
        self.tally = Tally(contract.classes)

    def done(self, folder: Path, kept: Path, paths: Sequence[str]) -> bool:
        """Asks about them, and says what it cost. Returns whether Ctrl-C cut it."""
        size = self._settings.batch_size
        chunks = [paths[start : start + size] for start in range(0, len(paths), size)]
        if self._file is not None:
            self._earlier = {row.key: row for row in self._file.earlier()}
        load = partial(read_batch, contract=self._contract, batch_size=size)
        answers = ModelAnswers(folder, kept, self._settings, lambda: _first(load, chunks))
        verdict, begun = answers.ready.verdict, time.perf_counter()
        try:
            with speed_bar("Predicting", len(paths)) as seen:
                number_seen = 0
                for photos, rows in answers.of(
                    chunks, partial(load, passed_over=self._passed_over)
                ):
                    self._take(photos, iter(rows))
                    number_seen += len(photos)
                    seen(number_seen)
        except KeyboardInterrupt:
            return True
        finally:
            seconds, new = time.perf_counter() - begun, self.tally.answered - self.tally.kept
            speed = f"{new / seconds:.0f} photos/s" if new and seconds else "none of them now"
            print(
                f"{number(self.tally.answered)} of {number(len(paths))} photos answered"
                f"{f', {self.tally.kept} of them by an earlier start' if self.tally.kept else ''}: "
                f"{verdict.engine} {verdict.precision}, {speed}"
            )
        return False

    def _passed_over(self, path: str, sha256: str) -> str:
        earlier = self._earlier.get(visible(path))
        if earlier is None:
            return ""
        if earlier.sha256 == sha256:
            return KEPT
        assert self._file is not None
        return f"has changed since its row in {self._file.path}: remove that, or name another --to"

    def _take(self, photos: Sequence[Photo], rows: Iterator) -> None:
        answers: list[Answer] = []
        for photo in photos:
            if photo.reason == KEPT:
                earlier = self._earlier[visible(photo.path)]
                self.tally.add_kept(photo.path, earlier)
                self._place(photo, earlier.predicted)
            elif photo.reason:
                self.tally.unread.append((photo.path, photo.reason))
            else:
                answers.append(Answer(photo.path, photo.sha256, next(rows)))
        if self._file is not None and answers:
            self._file.append(answers)
        for answer in answers:
            name = self.tally.add(answer)
            self._place(answer, name)

    def _place(self, photo: Photo | Answer, name: str) -> None:
        if self._sorted is not None:
            self._sorted.place(photo.path, photo.sha256, name)


def _first(load: partial[PhotoBatch], chunks: Sequence[Sequence[str]]) -> PhotoBatch:
    """The first batch with a photo in it, on which an engine is checked."""
    batch = load(chunks[0])
    for chunk in chunks[1:]:
        if batch.keys:
            break
        batch = load(chunk)
    return batch


def _list_unread(to: Path, tally: Tally) -> None:
    """Writes photos without an answer beside the answers; an earlier start's list goes."""
    path = to.with_name(f"{to.stem}.unread.csv")
    path.unlink(missing_ok=True)
    if tally.unread:
        rows = [{"path": visible(path), "reason": reason} for path, reason in tally.unread]
        csv_tables.write(path, ["path", "reason"], rows)
        print(f"without an answer  {visible(path.absolute())}")


def _say_where(outputs: Outputs, tally: Tally) -> None:
    places = {"answers": outputs.to, "sorted": outputs.copy_into, "page": outputs.gallery}
    for what, place in places.items():
        if place is not None and place.exists():
            print(f"{what}  {visible(place.absolute())}")
