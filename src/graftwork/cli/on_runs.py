"""Commands on finished runs.

Imports stay inside the commands: help must be instant.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from graftwork.cli.app import Root, app


@app.command()
def results(
    root: Annotated[
        Path | None,
        typer.Option(help="Folder of the experiment.", show_default="the newest, here or in runs/"),
    ] = None,
) -> None:
    """Print the result of the last experiment: scores with intervals, cost, where to look."""
    from graftwork.reporting.summary import newest, show_results
    from graftwork.storage.artifacts import Artifacts

    shown = newest(Path(".")) if root is None else root
    if root is None:
        print(f"The newest result, of {shown.absolute()} (--root names another):")
    show_results(Artifacts.at(shown))


@app.command()
def compare(
    runs: Annotated[
        list[str], typer.Argument(metavar="RUN RUN...", help="Folders of experiments, or run:ID.")
    ],
    root: Root = Path("."),
    html: Annotated[Path | None, typer.Option(help="Write a page, with the photos.")] = None,
) -> None:
    """Hold finished runs against each other, photo by photo: who is better, and is it luck?"""
    from graftwork.comparing.command import compare as compared

    compared(runs, root, html)


@app.command("learning-curve")
def learning_curve(
    root: Root = Path("."),
    against: Annotated[
        list[Path] | None, typer.Option(help="Folder of another run; may be repeated.")
    ] = None,
    html: Annotated[
        Path | None, typer.Option(help="The page.", show_default="reports/learning_curve.html")
    ] = None,
    more: Annotated[
        int, typer.Option("--next", help="Photos without labels to propose for labelling.", min=0)
    ] = 0,
    table: Annotated[Path, typer.Option(help="Where these are written.")] = Path("next.csv"),
) -> None:
    """Say what twice the labels would bring, and whether another strategy brings more."""
    from graftwork.advising.command import run
    from graftwork.storage.artifacts import Artifacts

    run(root, against or [], html or Artifacts.at(root).learning_curve, more, table)


@app.command()
def pareto(
    root: Root = Path("."),
    metric: Annotated[str, typer.Option(help="top1, macro_f1, log_loss, ...")] = "top1",
    on: Annotated[
        str, typer.Option(help="selection: held-out pictures, which may choose; or test.")
    ] = "selection",
    cost: Annotated[
        list[str] | None,
        typer.Option(help="macs, parameters, latency, energy, seconds, ...; may be repeated."),
    ] = None,
    data: Annotated[
        str | None, typer.Option(help="A digest's beginning, or a data set's name.")
    ] = None,
    experiment: Annotated[str | None, typer.Option(help="MLflow's experiment.")] = None,
    condition: Annotated[
        str | None, typer.Option("--filter", help="MLflow's condition on the runs.")
    ] = None,
    html: Annotated[Path | None, typer.Option(help="Write a page with the pictures.")] = None,
    csv: Annotated[Path | None, typer.Option(help="Write all runs as CSV.")] = None,
    json: Annotated[Path | None, typer.Option(help="Write all runs and frontiers.")] = None,
) -> None:
    """Compare recorded runs, accuracy against cost: which ones nothing beats at their price."""
    from graftwork.pareto.command import compared_runs, show

    shown = compared_runs(root, metric, cost or [], data, experiment, condition, on)
    show(shown, {"html": html, "csv": csv, "json": json})


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


@app.command()
def labels(
    root: Root = Path("."),
    html: Annotated[
        Path | None, typer.Option(help="The gallery.", show_default="reports/labels.html")
    ] = None,
    write: Annotated[
        Path | None, typer.Option(metavar="labels.csv", help="Every label, to be corrected.")
    ] = None,
    count: Annotated[int, typer.Option(help="Photos in the gallery at most.", min=1)] = 60,
) -> None:
    """Show training labels that look wrong, by answers of models that had not seen the photos."""
    from graftwork.inspecting.labels import run
    from graftwork.storage.artifacts import Artifacts

    run(root, html or Artifacts.at(root).doubtful_labels, write, count)


@app.command()
def replay(
    run: Annotated[str, typer.Argument(metavar="RUN", help="Folder of the experiment, or run:ID.")],
) -> None:
    """Run the step again at which a training diverged: where its numbers end, and the pictures."""
    from graftwork.cli.replay import run as run_again

    raise typer.Exit(run_again(run))


@app.command()
def card(root: Root = Path(".")) -> None:
    """Write what whoever is handed the model should know: reports/card.md and a page."""
    from graftwork.reporting.model_card import write

    for path in write(root):
        print(path)
