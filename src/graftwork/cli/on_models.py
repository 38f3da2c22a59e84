"""Commands on a finished model.

Imports stay inside the commands: help must be instant.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from graftwork.cli.app import app
from graftwork.config.errors import UserError


@app.command()
def predict(
    model: Annotated[
        str,
        typer.Argument(
            metavar="MODEL", help="A model folder, a run's folder, run:ID, or models:/NAME@ALIAS."
        ),
    ],
    photos: Annotated[
        list[str],
        typer.Argument(
            metavar="PATH...",
            help="Files, folders, patterns, a .csv with a column of paths; - for standard input.",
        ),
    ],
    to: Annotated[
        Path | None, typer.Option(help="File of answers: .csv, .jsonl or .parquet.")
    ] = None,
    top: Annotated[int, typer.Option(help="Likeliest classes of each photo.")] = 3,
    copy_into: Annotated[
        Path | None, typer.Option(help="Folder of links to photos, sorted by class.")
    ] = None,
    copy: Annotated[bool, typer.Option("--copy", help="Copies there instead of links.")] = False,
    gallery: Annotated[
        Path | None, typer.Option(help="Page with the surest and the least sure of each class.")
    ] = None,
    engine: Annotated[
        str | None,
        typer.Option(help="auto, openvino or torch.", show_default="as the run's evaluation"),
    ] = None,
    precision: Annotated[
        str | None, typer.Option(help="auto, fp32 or bf16.", show_default="likewise")
    ] = None,
) -> None:
    """Ask a model about photos: a table, files, a page. Started again, it goes on."""
    from graftwork.predicting.command import Outputs
    from graftwork.predicting.command import predict as asked

    if copy and copy_into is None:
        raise UserError("--copy: says how --copy-into FOLDER is filled. Name the folder, too.")
    outputs = Outputs(to, top, copy_into, copy, gallery)
    if code := asked(model, photos, outputs, engine, precision):
        raise typer.Exit(code)


@app.command()
def export(
    model: Annotated[
        str,
        typer.Argument(
            metavar="MODEL", help="A model folder, a run's folder, run:ID, or models:/NAME@ALIAS."
        ),
    ],
    format: Annotated[str, typer.Option(help="onnx, openvino, torch_export or torchscript.")],
    precision: Annotated[str, typer.Option(help="fp32, fp16, bf16 or int8.")] = "fp32",
    takes: Annotated[
        str,
        typer.Option(help="photos: of any size; views: resized and cropped as evaluation does it."),
    ] = "photos",
    to: Annotated[
        Path | None, typer.Option(help="Folder.", show_default="exports/ of the run")
    ] = None,
    photos: Annotated[
        Path | None, typer.Option(help="Folder of photos to try it on instead of the run's.")
    ] = None,
    root: Annotated[Path, typer.Option("--root", help="Folder of the project.")] = Path("."),
) -> None:
    """Write a file that other programs open, preprocessing inside, with a certificate beside it."""
    from graftwork.cli.export import run
    from graftwork.serving.exporting import Wanted

    run(model, Wanted(format, precision, takes), to, photos, root)


@app.command()
def serve(
    model: Annotated[
        str,
        typer.Argument(
            metavar="MODEL", help="A model folder, a run's folder, run:ID, or models:/NAME@ALIAS."
        ),
    ],
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Port.")] = 8000,
    names: Annotated[
        list[str] | None,
        typer.Option("--name", metavar="HOST:PORT", help="Under which it is asked, too."),
    ] = None,
    origins: Annotated[
        list[str] | None,
        typer.Option("--origin", metavar="https://HOST", help="Of pages that may ask (CORS)."),
    ] = None,
    changes: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="A limit, such as body_mib=32."),
    ] = None,
) -> None:
    """Answer over HTTP what photos show, and serve a page to try it on."""
    from graftwork.cli.serve import serve as run

    run(model, host, port, names or [], origins or [], changes or [])


@app.command()
def register(
    run: Annotated[str, typer.Argument(metavar="RUN", help="Folder of an experiment, or run:ID.")],
    name: Annotated[str, typer.Option(help="Of the registered model.")],
    alias: Annotated[
        str | None, typer.Option(help="That it gets, such as champion; its holder is compared.")
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Even if it is worse.")] = False,
    root: Annotated[Path, typer.Option("--root", help="Folder of the project.")] = Path("."),
) -> None:
    """Put a run's model into MLflow's registry, unless it is worse than the champion there."""
    from graftwork.recording.registry import register as registered

    for sentence in registered(root, run, name, alias, force=force):
        print(sentence)


@app.command("add-class")
def add_class(
    model: Annotated[
        str, typer.Argument(metavar="MODEL", help="A run's folder, or a model folder in it.")
    ],
    name: Annotated[str, typer.Argument(metavar="NAME", help="Of the new class.")],
    photos: Annotated[Path, typer.Argument(metavar="FOLDER", help="Of its photos.")],
    to: Annotated[
        Path | None,
        typer.Option(help="The new model folder.", show_default="model-with-NAME in the run's"),
    ] = None,
) -> None:
    """Teach a model a class more: a new head on its own features, in seconds."""
    from graftwork.extending.command import add_class as extend

    extend(model, name, photos, to)
