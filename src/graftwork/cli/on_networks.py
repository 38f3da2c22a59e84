"""Commands on networks, before anything is trained.

Imports stay inside the commands: help must be instant.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from graftwork.cli.app import app


@app.command()
def models() -> None:
    """List the models that can be chosen, and where their weights come from."""
    from graftwork.cli.catalogue import show_models

    show_models()


@app.command()
def profile(
    words: Annotated[
        list[str], typer.Argument(metavar="MODEL...", help="Words of conf/model, or timm's names.")
    ],
    transfer: Annotated[
        str | None,
        typer.Option(help="Strategy that says what is trained.", show_default="conf's"),
    ] = None,
    classes: Annotated[int, typer.Option(help="Width of the head.", min=1)] = 1000,
    size: Annotated[
        int | None, typer.Option(help="Side of the input, px.", show_default="the model's own")
    ] = None,
    batch: Annotated[
        int | None,
        typer.Option(help="Images of a training step.", min=1, show_default="the trainer's"),
    ] = None,
    precision: Annotated[
        str | None,
        typer.Option(help="auto, fp32 or bf16.", show_default="the trainer's"),
    ] = None,
    overrides: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="Further override; may be repeated."),
    ] = None,
    layers: Annotated[bool, typer.Option(help="Every layer, or groups of layers.")] = True,
    measure: Annotated[
        bool, typer.Option(help="Also latency, throughput, memory and energy, on this machine.")
    ] = False,
    json_file: Annotated[Path | None, typer.Option("--json", metavar="FILE")] = None,
    csv_file: Annotated[Path | None, typer.Option("--csv", metavar="FILE")] = None,
    html_file: Annotated[Path | None, typer.Option("--html", metavar="FILE")] = None,
) -> None:
    """Say what networks cost: parameters, operations, memory, receptive field, layer by layer."""
    from graftwork.profiling.command import Files, Request, run

    files = Files(json_file, csv_file, html_file)
    request = Request(words, transfer, classes, size, batch, precision, overrides or [])
    run(request, files, layers=layers, measure=measure)


@app.command("lr-find", context_settings={"ignore_unknown_options": True})
def lr_find(
    overrides: Annotated[
        list[str] | None,
        typer.Argument(metavar="[KEY=VALUE]...", help="Of the experiment, as pipelines take them."),
    ] = None,
) -> None:
    """Try rising learning rates on an experiment's training pictures, and propose one."""
    from graftwork.cli.stages import run_module

    raise typer.Exit(run_module("pipelines.lr_find", overrides or []))


@app.command(context_settings={"ignore_unknown_options": True})
def advise(
    overrides: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[KEY=VALUE]... [budget=10min]",
            help="Of the experiments; model=, transfer= and model.input_size= may list several.",
        ),
    ] = None,
) -> None:
    """Say which network and which way of transferring suit photos, and what that costs."""
    from graftwork.cli.stages import run_module

    raise typer.Exit(run_module("pipelines.advise", overrides or []))


@app.command()
def preview(
    overrides: Annotated[
        list[str] | None,
        typer.Argument(metavar="[KEY=VALUE]...", help="As of `python -m pipelines.experiment`."),
    ] = None,
    root: Annotated[
        Path | None,
        typer.Option(help="Folder of an experiment that has begun, instead of overrides."),
    ] = None,
    count: Annotated[int, typer.Option(help="Photos of each class.")] = 1,
    classes: Annotated[int, typer.Option(help="Classes, the first so many.")] = 20,
    epochs: Annotated[int, typer.Option(help="Epochs, a column each.")] = 4,
    html: Annotated[
        Path | None, typer.Option(help="The page.", show_default="reports/preview.html")
    ] = None,
) -> None:
    """Show training pictures as the network will see them: augmented, epoch by epoch."""
    from graftwork.cli.preview import Shown, run

    run(overrides or [], root, Shown(count, classes, epochs), html)
