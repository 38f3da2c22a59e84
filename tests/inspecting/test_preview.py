"""The page of training pictures: the very pixels that the training gets, and what was done."""

from __future__ import annotations

import base64
import io
import re
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from conftest import CONF
from PIL import Image
from tiny_experiment import tiny_experiment

from graftwork.cli import preview as command
from graftwork.config.errors import UserError
from graftwork.data import manifest
from graftwork.data.images import DecodedImages, eval_view
from graftwork.inspecting.preview import Shown, preview
from graftwork.selecting.held_out import held_out
from graftwork.training.graft_module import GraftModule
from graftwork.training.transferring import finetune

SOME = ("augmentation=strong", "trainer.limit_epochs=null", "trainer.limit_batches=null")
LONG = ("transfer.epochs=2", "trainer.batch_size=64", "trainer.refit=never", "seed=3")


class Page(HTMLParser):
    """Pictures by their words, and every element's name."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.text = path.read_text(encoding="utf-8")
        self.tiles: dict[str, np.ndarray] = {}
        self.tags: set[str] = set()
        self.feed(self.text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        known = dict(attrs)
        if tag == "img":
            content = base64.b64decode((known["src"] or "").partition(",")[2])
            self.tiles[known["alt"] or ""] = np.asarray(Image.open(io.BytesIO(content)))


def test_tiles_are_the_pictures_of_the_trainings_batches(
    tiny_params: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A real training, whose batches are watched; two photos a class, two epochs."""
    experiment, artifacts = tiny_experiment(tiny_params(*SOME, *LONG), tmp_path / "run")
    page = Page(preview(experiment, artifacts, Shown(2, 9, 7), tmp_path / "page.html"))
    assert len(page.tiles) == 2 * 3 * (1 + 2)  # no more epochs than the strategy has

    seen: list[tuple[int, bytes]] = []
    step = GraftModule.training_step

    def watched(self: GraftModule, batch: Any, batch_idx: int) -> Any:
        seen.extend((self.current_epoch, picture.numpy().tobytes()) for picture in batch[0])
        return step(self, batch, batch_idx)

    monkeypatch.setattr(GraftModule, "training_step", watched)
    frame = manifest.read(artifacts.manifest)
    chooses = held_out(experiment, frame, 3, lambda rows: pytest.fail("no features"))
    finetune(experiment, artifacts, chooses, None, 3, lambda row, epoch: None)
    fitted = len(seen) // 2
    assert f"<b>{fitted}</b><span>pictures of the first training" in page.text
    images = DecodedImages(artifacts, experiment.dataset)
    spec = experiment.model.build(3, None).input_spec
    views = {
        eval_view(images.get(row["sha256"], row["path"]), spec).tobytes()
        for row in frame.to_dict("records")
    }
    for words, tile in page.tiles.items():
        if found := re.search(r"in epoch (\d)$", words):
            assert (int(found[1]) - 1, tile.tobytes()) in seen, words
        else:
            assert tile.tobytes() in views, words


def test_every_transform_is_named_and_nothing_is_fetched_or_run(
    tiny_params: Callable[..., Any], tmp_path: Path
) -> None:
    params = tiny_params("augmentation=trivial_augment")
    params["augmentation"]["name"] = "<b>x"
    experiment, artifacts = tiny_experiment(params, tmp_path / "run")
    page = Page(preview(experiment, artifacts, Shown(1, 2, 1), tmp_path / "page.html"))
    for words in (
        "RandomResizedCrop", "scale=[0.6, 1]", "HorizontalFlip", "p=0.5", "TrivialAugment",
        "ranges=wide", "shear_x", "to=0.99", "either way=yes", "2 of 3 classes", "&lt;b&gt;x",
    ):  # fmt: skip
        assert words in page.text, words
    assert not page.tags & {"script", "link", "iframe", "object"}
    assert "default-src 'none'" in page.text and not re.search(r"url\(|@import", page.text)


def test_a_strategy_that_trains_nothing_says_so(
    tiny_params: Callable[..., Any], tmp_path: Path
) -> None:
    probe = ("transfer=linear_probe", "transfer/start=random", "selection=none")
    engine = ("extraction.engine=torch", "extraction.precision=fp32")
    experiment, artifacts = tiny_experiment(tiny_params(*probe, *engine), tmp_path / "run")
    page = Page(preview(experiment, artifacts, Shown(1, 1, 2), tmp_path / "page.html"))
    assert "transfer=linear_probe trains no network" in page.text and len(page.tiles) == 3


def test_the_command_prepares_what_overrides_say_and_leaves_no_other_file(
    tiny_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    project = tmp_path / "project"
    project.mkdir()
    (project / "conf").symlink_to(CONF)
    monkeypatch.chdir(project)
    words = ["dataset=folder", f"dataset.path={tiny_folder}", "model=tiny_cnn"]
    words += ["transfer=from_scratch", "augmentation=none"]
    page = command.run(words, None, Shown(1, 3, 1), None)
    assert page == project / "reports" / "preview.html"
    tiles = Page(page).tiles
    assert len(tiles) == 6 and str(page) in capsys.readouterr().out
    for name in {words.rpartition(" ")[0] for words in tiles if "epoch" in words}:
        name = name.removesuffix(" in epoch")
        still = tiles[f"{name} as evaluation sees it"]
        assert np.array_equal(tiles[f"{name} in epoch 1"], still)  # augmentation=none
    assert {path.name for path in project.iterdir()} <= {"conf", "reports", "store", "data"}
    assert not (project / "data" / "manifest.parquet").exists()  # that is dvc's


def test_mistakes_are_told_before_anything_is_made(
    tiny_params: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match="conf: no such folder. Run this in the project's folder"):
        command.run([], None, Shown(1, 1, 1), None)
    with pytest.raises(UserError, match="--count: 0 is out of bounds"):
        Shown(0, 1, 1)
    with pytest.raises(UserError, match="--root: run says what its experiment is"):
        command.run(["seed=1"], Path("run"), Shown(1, 1, 1), None)
    with pytest.raises(UserError, match="params.yaml: no such file"):
        command.run([], Path("run"), Shown(1, 1, 1), None)
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "params.yaml").write_text(yaml.safe_dump(tiny_params()))
    with pytest.raises(UserError, match="manifest.parquet: no such file. Run .* prepare first"):
        command.run([], Path("run"), Shown(1, 1, 1), None)
    with pytest.raises(UserError, match="--html: .* is a folder"):
        command.run([], None, Shown(1, 1, 1), tmp_path)
    (tmp_path / "conf").symlink_to(CONF)
    with pytest.raises(UserError, match="augmentation=strng"):
        command.run(["augmentation=strng"], None, Shown(1, 1, 1), None)
