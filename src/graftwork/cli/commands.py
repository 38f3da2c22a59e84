"""`graftwork ...`: what is not a stage. Imports stay inside the commands: help must be instant."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from graftwork.config.errors import UserError, as_mistake
from graftwork.process.terminal import print_in_any_encoding, visible_lines

app = typer.Typer(
    name="graftwork",
    help="Transfer learning for image classification, measured honestly.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _show_version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        print(f"graftwork {version('graftwork')}")
        raise typer.Exit


@app.callback()
def options(
    version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_show_version, is_eager=True, help="Print the version and end."
        ),
    ] = False,
) -> None: ...


Root = Annotated[Path, typer.Option("--root", help="Folder of the experiment.")]


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


@app.command()
def ui(
    root: Root = Path("."),
    port: Annotated[int, typer.Option(help="Port on 127.0.0.1.")] = 5000,
) -> None:
    """Open MLflow's pages on this machine's runs, for this machine alone."""
    from graftwork.cli.ui import serve

    serve(root, port)


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
def card(root: Root = Path(".")) -> None:
    """Write what whoever is handed the model should know: reports/card.md and a page."""
    from graftwork.reporting.model_card import write

    for path in write(root):
        print(path)


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


@app.command()
def predict(
    model: Annotated[
        str, typer.Argument(metavar="MODEL", help="A model folder, a run's folder, or run:ID.")
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


@app.command()
def export(
    model: Annotated[
        str, typer.Argument(metavar="MODEL", help="A model folder, a run's folder, or run:ID.")
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
        str, typer.Argument(metavar="MODEL", help="Model folder, a run's folder, or run:ID.")
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


@app.command()
def replay(
    run: Annotated[str, typer.Argument(metavar="RUN", help="Folder of the experiment, or run:ID.")],
) -> None:
    """Run the step again at which a training diverged: where its numbers end, and the pictures."""
    from graftwork.cli.replay import run as run_again

    raise typer.Exit(run_again(run))


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
