"""Commands on a project: the machine, its store, MLflow's pages.

Imports stay inside the commands: help must be instant.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from graftwork.cli.app import Root, app
from graftwork.config.errors import UserError


@app.command()
def doctor(
    root: Annotated[Path, typer.Option("--root", help="Folder of the project.")] = Path("."),
    verify: Annotated[
        bool, typer.Option("--verify", help="Read all that the project stores, and compare it.")
    ] = False,
    fix: Annotated[
        bool, typer.Option("--fix", help="Close runs that a killed process left RUNNING.")
    ] = False,
) -> None:
    """Say what this machine has: versions, devices, fast precisions, registries, disk, damage."""
    from graftwork.cli.doctor import examine, show

    found = examine(root, verify=verify, fix=fix)
    show(found)
    if any(finding.topic == "state" and not finding.good for finding in found):
        raise typer.Exit(1)


@app.command()
def ui(
    root: Root = Path("."),
    port: Annotated[int, typer.Option(help="Port on 127.0.0.1.")] = 5000,
) -> None:
    """Open MLflow's pages on this machine's runs, for this machine alone."""
    from graftwork.cli.ui import serve

    serve(root, port)


@app.command()
def store(
    root: Annotated[Path, typer.Option("--root", help="Folder of the project.")] = Path("."),
    prune: Annotated[
        bool, typer.Option("--prune", help="Say what is left over, and what these take:")
    ] = False,
    older_than: Annotated[
        str | None, typer.Option(metavar="30d", help="What was not used for so long (h, d, w).")
    ] = None,
    larger_than: Annotated[
        str | None,
        typer.Option(metavar="5GB", help="The longest unused, until no more than this is left."),
    ] = None,
    unreferenced: Annotated[
        bool, typer.Option("--unreferenced", help="Only what no recorded run would use again.")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Really remove it.")] = False,
) -> None:
    """Show what the store holds, by kind and age; --prune makes room."""
    from graftwork.housekeeping import command

    wanted = command.Wanted(older_than, larger_than, unreferenced)
    if prune:
        command.prune(root, wanted, really=yes)
    elif yes or not wanted.is_empty:
        raise UserError("--older-than, --larger-than, ... and --yes: say --prune, too.")
    else:
        command.show_store(root)
