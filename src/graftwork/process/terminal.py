"""Text that others chose - class names, paths, values, error texts - on its way to a terminal.

A terminal obeys escape codes and rich obeys [markup] and :emoji:, whoever wrote them. All that is
printed and not this project's own words goes through here.
"""

from __future__ import annotations

import io
import re
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # errors are printed without rich: a message should come at once
    from rich.text import Text

# Control characters, line separators, what turns the direction of writing, and the surrogates
# that stand for bytes of a file name that are no UTF-8, which no output can encode.
_OBEYED = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]")


def visible(text: object) -> str:
    r"""On one line, with `\x1b` and `\n` in place of what a terminal would obey."""
    return _OBEYED.sub(lambda found: found[0].encode("unicode_escape").decode("ascii"), str(text))


def visible_lines(text: object) -> str:
    """The same for a message, which keeps its lines."""
    return "\n".join(visible(line) for line in str(text).split("\n"))


def print_in_any_encoding() -> None:
    """What the terminal has no code for (cron, LC_ALL=C) prints as `?`, and is no error.

    What was finished is finished, though its table has a line that such a terminal lacks.
    """
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper) and stream.errors == "strict":
            stream.reconfigure(errors="replace")


def literal(text: object, style: str = "") -> Text:
    """For rich: every character stands for itself."""
    from rich.text import Text

    return Text(visible(text), style)
