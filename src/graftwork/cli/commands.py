"""`graftwork ...`: what is not a stage."""

from __future__ import annotations

import sys

from graftwork.cli import on_models, on_networks, on_projects, on_runs
from graftwork.cli.app import app
from graftwork.config.errors import UserError, as_mistake
from graftwork.process.terminal import print_in_any_encoding, visible_lines

COMMANDS = (on_networks, on_runs, on_models, on_projects)  # each has added its own to `app`


def main() -> None:
    """Entry point. A user's mistake ends in one message and exit code 2."""
    print_in_any_encoding()
    try:
        app()
    except (UserError, OSError) as error:
        if (mistake := as_mistake(error)) is None:
            raise
        print(f"graftwork: {visible_lines(mistake)}", file=sys.stderr)
        raise SystemExit(2) from None
