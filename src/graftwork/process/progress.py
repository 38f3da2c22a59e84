"""Progress bars with the time left; silent where nobody watches."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import (
    BarColumn,
    DownloadColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    Task,
    TextColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)
from rich.text import Text

from graftwork.process.terminal import visible

Seen = Callable[[int], None]  # called with how much is done, from the beginning


@contextmanager
def bytes_bar(title: str, total: int | None) -> Iterator[Seen]:
    """Bytes, bytes/s and the time left. `total` None: not known."""
    with _bar(title, total, DownloadColumn(), TransferSpeedColumn()) as seen:
        yield seen


@contextmanager
def count_bar(title: str, total: int | None, shown: bool = True) -> Iterator[Seen]:
    """How many of how many, and the time left."""
    with _bar(title, total, MofNCompleteColumn(), shown=shown) as seen:
        yield seen


@contextmanager
def speed_bar(title: str, total: int, shown: bool = True) -> Iterator[Seen]:
    """How many of how many pictures, pictures/s and the time left."""
    with _bar(title, total, MofNCompleteColumn(), _Speed(), shown=shown) as seen:
        yield seen


class _Speed(TextColumn):
    """Pictures per second."""

    def __init__(self) -> None:
        super().__init__("")

    def render(self, task: Task) -> Text:
        return Text(f"{task.speed:.0f} images/s" if task.speed else "")


@contextmanager
def _bar(
    title: str, total: int | None, *middle: ProgressColumn, shown: bool = True
) -> Iterator[Seen]:
    console = Console(stderr=True)
    said = TextColumn("{task.description}", markup=False)  # it may be the name of a file
    columns = (said, BarColumn(), *middle, TimeRemainingColumn())
    silent = not (shown and console.is_terminal)
    with Progress(*columns, console=console, transient=True, disable=silent) as progress:
        task = progress.add_task(visible(title), total=total)
        yield lambda done: progress.update(task, completed=done)
