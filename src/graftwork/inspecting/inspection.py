"""`graftwork inspect`: what a trained network looks at, on one page.

Wrong input is refused before torch is imported; only a layer group's name needs the network.
"""

from __future__ import annotations

from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path

from graftwork.config.errors import UserError, check_range
from graftwork.inspecting.photos import Answers, answers, given
from graftwork.model_folder import contents as model_folder
from graftwork.process.terminal import visible
from graftwork.storage.artifacts import Artifacts
from graftwork.storage.files import read_json


def inspect(
    root: Path, paths: Sequence[Path], *, count: int, html: Path | None, group: str | None
) -> Path:
    """Writes the page and says where it is.

    Args:
        root: folder of an experiment, or a model folder.
        paths: photos to look at; empty: test photos with their recorded answers.
        count: so many right and so many wrong answers; of photos named, twice as many at most.
        html: where to; None: `Artifacts.inspection`, in the current folder for a model folder.
        group: layer group of Grad-CAM; None: the last whose positions reach the logits.

    Returns:
        the page.

    Raises:
        UserError: something is missing, or wrong.
    """
    check_range("--count", count, 1, 100)
    folder = model_folder.folder_at(root)
    artifacts = Artifacts.at("." if folder == root else root)  # of predictions, and of the page
    target = html or artifacts.inspection
    if target.is_dir():
        raise UserError(f"--html: {target} is a folder. Name a file in it.")
    contract = model_folder.read_contract(folder)
    _check_library()
    if paths:
        photos, named = given(paths, contract, 2 * count)
        shown = Answers([], [], 0, 0)
        print(f"{len(photos)} of {named} photos, whose answers are not known", flush=True)
    else:
        shown = answers(artifacts.predictions, contract, count)
        photos = [*shown.right, *shown.wrong]
        print(_tally(shown), flush=True)
    from graftwork.inspecting import page
    from graftwork.inspecting.model_views import look

    mapped = [0, len(shown.right)] if shown.right and shown.wrong else [0, 1]
    seen = look(folder, photos, mapped, group)
    page.write(target, seen, contract, shown, views=_views(artifacts.metrics))
    print(f"page  {visible(target.absolute())}")
    return target


def _views(metrics: Path) -> int:
    """Of how many views of a photo the recorded answers are the mean."""
    found = read_json(metrics, "Run the stage evaluate again.") if metrics.is_file() else {}
    return (found.get("views") or {}).get("count", 1)


def _check_library() -> None:
    if find_spec("pytorch_grad_cam") is None:
        raise UserError(
            "inspect: Grad-CAM's library is not installed. Run: pip install 'graftwork[inspect]'"
        )


def _tally(shown: Answers) -> str:
    return (
        f"{len(shown.right)} of {shown.all_right} right and {len(shown.wrong)} of "
        f"{shown.all_wrong} wrong answers"
    )
