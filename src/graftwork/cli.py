"""`graftwork ...`: what is not a stage. Imports stay inside the commands: help must be instant."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from graftwork.errors import UserError

app = typer.Typer(
    name="graftwork",
    help="Transfer learning for image classification, measured honestly.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

Root = Annotated[Path, typer.Option("--root", help="Folder of the experiment.")]


@app.command()
def doctor() -> None:
    """Say what this machine has: versions, devices, fast precisions, registries, disk."""
    from graftwork.doctor import examine, show

    show(examine())


@app.command()
def models() -> None:
    """List the models that can be chosen, and where their weights come from."""
    from graftwork.catalogue import show_models

    show_models()


@app.command()
def ui(
    root: Root = Path("."),
    port: Annotated[int, typer.Option(help="Port on 127.0.0.1.")] = 5000,
) -> None:
    """Open MLflow's pages on this machine's runs, for this machine alone."""
    from graftwork.ui import serve

    serve(root, port)


@app.command()
def results(root: Root = Path(".")) -> None:
    """Print the result of the last experiment: scores with intervals, cost, where to look."""
    from graftwork.artifacts import Artifacts
    from graftwork.reporting.summary import show_results

    show_results(Artifacts.at(root))


@app.command()
def inspect(
    more: Annotated[
        list[Path] | None, typer.Argument(metavar="[PHOTO]...", help="More of --photos.")
    ] = None,
    root: Annotated[
        Path, typer.Option("--root", help="Folder of the experiment, or a model folder alone.")
    ] = Path("."),
    photos: Annotated[
        list[Path] | None,
        typer.Option(help="Files or folders to look at instead of the test photos."),
    ] = None,
    count: Annotated[
        int, typer.Option(help="Right and wrong answers to show, so many of each.")
    ] = 6,
    html: Annotated[
        Path | None, typer.Option(help="The page.", show_default="reports/inspect.html")
    ] = None,
    group: Annotated[
        str | None,
        typer.Option(help="Layer group of Grad-CAM.", show_default="the last that matters"),
    ] = None,
) -> None:
    """Show what a trained network looks at: filters, feature maps, Grad-CAM, on one page."""
    from graftwork.inspecting.inspection import inspect as look

    look(root, [*(photos or []), *(more or [])], count=count, html=html, group=group)


def main() -> None:
    """Entry point. A user's mistake ends in one message and exit code 2."""
    try:
        app()
    except UserError as error:
        print(f"graftwork: {error}", file=sys.stderr)
        raise SystemExit(2) from None
