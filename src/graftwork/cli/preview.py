"""`graftwork preview`: training pictures as the network will see them, before it is trained."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path

from graftwork.config.errors import UserError
from graftwork.experiment import Experiment
from graftwork.inspecting.preview import Shown
from graftwork.inspecting.preview import preview as look
from graftwork.process.terminal import visible
from graftwork.storage.artifacts import Artifacts

__all__ = ["Shown", "run"]
HERE = Path(".")  # the project: data, weights and store are shared with every experiment of it


def run(overrides: Sequence[str], root: Path | None, shown: Shown, html: Path | None) -> Path:
    """Writes the page and says where it is.

    Args:
        overrides: of conf/, as `python -m pipelines.experiment` takes them.
        root: folder of an experiment that has been prepared; None: one is prepared for a moment.
        shown: how much.
        html: where to; None: reports/preview.html in the experiment's or the current folder.

    Raises:
        UserError: something is missing, or wrong.
    """
    if html is not None and html.is_dir():
        raise UserError(f"--html: {html} is a folder. Name a file in it.")
    if root is not None:
        return _told(_of_run(overrides, root, shown, html))
    from graftwork.inspecting.preview import prepared
    from graftwork.profiling.chosen import experiment_of

    experiment = experiment_of(overrides)
    with tempfile.TemporaryDirectory(prefix="graftwork-preview-") as folder:
        artifacts = Artifacts.at(folder, HERE)
        prepared(experiment, artifacts)
        return _told(look(experiment, artifacts, shown, html or Artifacts.at(HERE).preview))


def _of_run(overrides: Sequence[str], root: Path, shown: Shown, html: Path | None) -> Path:
    if overrides:
        raise UserError(
            f"--root: {root} says what its experiment is. Leave out {' '.join(overrides)}, or "
            "leave out --root."
        )
    artifacts = Artifacts.at(root, HERE)
    experiment = Experiment.from_file(artifacts.params)
    for path in (artifacts.manifest, artifacts.classes):
        if not path.is_file():
            raise UserError(f"{path}: no such file. Run the experiment's stage prepare first.")
    return look(experiment, artifacts, shown, html or artifacts.preview)


def _told(page: Path) -> Path:
    print(f"page  {visible(page.absolute())}")
    return page
