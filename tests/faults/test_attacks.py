"""Whatever attacks/ makes is refused in words, or judged as the policy of pictures says.

Nothing of it runs code, writes outside of its folder, or takes memory without bound.
"""

from __future__ import annotations

import json
import os
import re
import resource
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from conftest import composed
from listed_photos import Photos
from untrained_model import untrained

from attacks import archives, configurations, contracts, names, pictures, weights
from attacks.attack import CANARY, Attack
from graftwork.config.errors import UserError
from graftwork.data import manifest
from graftwork.data.datasets.base import Record
from graftwork.data.datasets.folder import Folder
from graftwork.data.images import UnreadableImage, decode
from graftwork.data.preparing.data_report import show
from graftwork.data.preparing.preparation import prepare
from graftwork.data.sources.unpacking import unpack
from graftwork.experiment import Experiment
from graftwork.model_folder.contents import CONTRACT, load
from graftwork.models.weights import read_tensors
from graftwork.storage import files
from graftwork.storage.artifacts import Artifacts

MIB = 2**20
MOST_PIXELS = 10**8  # of conf/dataset/_base.yaml


@pytest.fixture(autouse=True)
def canary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Nothing makes it, nothing changes the environment, and nothing is written anywhere else."""
    (tmp_path / "cage").mkdir()
    monkeypatch.chdir(tmp_path / "cage")
    monkeypatch.setenv(CANARY, str(tmp_path / "canary"))
    before = environment()
    yield tmp_path / "canary"
    ran = sorted(path.name for path in tmp_path.iterdir() if path.name.startswith("canary"))
    assert not ran and not list((tmp_path / "cage").iterdir()) and environment() == before


def environment() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if not name.startswith("PYTEST")}


def by_name(attacks: list[Any]) -> dict[str, Any]:
    found = {attack.name: attack for attack in attacks}
    assert len(found) == len(attacks)
    return found


def refused(attack: Any, work: Callable[[], object]) -> str:
    """What is said."""
    with warnings.catch_warnings(), pytest.raises(UserError, match=attack.said) as stop:
        warnings.simplefilter("ignore")  # of torch, about older files
        work()
    return str(stop.value)


WEIGHTS = by_name(weights.WEIGHTS)


@pytest.mark.parametrize("name", WEIGHTS)
def test_weights(name: str, tmp_path: Path) -> None:
    path = WEIGHTS[name].make(tmp_path)
    said = refused(WEIGHTS[name], lambda: read_tensors(path))
    assert "weights_only" not in said, "nobody is advised to run it"


ARCHIVES = by_name(archives.ARCHIVES)


@pytest.mark.parametrize("name", ARCHIVES)
def test_archives(name: str, tmp_path: Path) -> None:
    archive = ARCHIVES[name].make(tmp_path)
    refused(ARCHIVES[name], lambda: unpack(archive, tmp_path / "out"))
    assert {p for p in tmp_path.rglob("*")} == {archive, tmp_path / "cage"}


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model folder that is right."""
    root = tmp_path_factory.mktemp("model")
    for label, colour in (("blue", 40), ("green", 90), ("red", 200)):
        for split, number in (("train", 2), ("test", 5)):
            for at in range(number):
                path = root / "photos" / split / label / f"{at}.png"
                path.parent.mkdir(parents=True, exist_ok=True)
                noise = np.random.default_rng([colour, at, number]).integers(0, 50, (20, 20, 3))
                path.write_bytes(pictures.encoded((noise + colour).astype(np.uint8)))
    tiny = ("model=tiny_cnn", "transfer=from_scratch", "dataset.splits.val_fraction=0")
    params = composed("dataset=folder", f"dataset.path={root / 'photos'}", *tiny)
    return untrained(params, root)[1].model


CONTRACTS = by_name(contracts.CONTRACTS)


@pytest.mark.parametrize("name", CONTRACTS)
def test_model_folders(name: str, model: Path, tmp_path: Path) -> None:
    folder = tmp_path / "model"
    folder.mkdir()
    for path in model.iterdir():
        (folder / path.name).symlink_to(path)
    values = files.unsealed(json.loads((folder / CONTRACT).read_text()))
    (folder / CONTRACT).unlink()
    made = CONTRACTS[name].make(json.loads(json.dumps(values)))
    text = made if isinstance(made, str) else json.dumps(files.seal(made))
    (folder / CONTRACT).write_text(text)
    assert str(folder) in refused(CONTRACTS[name], lambda: load(folder))


ODD = by_name(pictures.ODD)


def test_odd_pictures_are_judged_as_the_policy_says(tmp_path: Path) -> None:
    photos = Photos(tmp_path / "photos")
    photos.folder.mkdir()
    for at, picture in enumerate(ODD.values()):
        path = photos.folder / f"{at}{picture.suffix}"
        path.write_bytes(picture.make())
        photos.records.append(Record(path, "ab"[at % 2], "train"))
    for label in "ab":
        photos.add(label, "test")
    prepare(photos.dataset(max_pixels=MOST_PIXELS, decoded_side=64), Artifacts.at(tmp_path / "x"))
    frame = manifest.read(Artifacts.at(tmp_path / "x").manifest)
    rows = {Path(row.path).stem: row for row in frame.itertuples()}
    wrong = [
        f"{name}: {said}"
        for at, (name, picture) in enumerate(ODD.items())
        if (said := misjudged(picture, rows[str(at)]))
    ]
    assert len(ODD) > 40 and not wrong, "\n".join(wrong)


def misjudged(picture: pictures.Picture, row: Any) -> str | None:
    """What is wrong with the verdict, or with what is seen; None: nothing."""
    if isinstance(picture.seen, str):
        right = row.verdict != "ok" and re.search(picture.seen, row.verdict)
        right = right and "0x" not in row.verdict  # the same text in every run
        return None if right else f"{row.verdict!r}"
    if row.verdict.startswith(("duplicate", "same picture under")):
        row = row._replace(verdict="ok")  # some are the same to the byte
    pixels = decode(Path(row.path), MOST_PIXELS)
    middle = pixels[pixels.shape[0] // 2, pixels.shape[1] // 2].astype(int)
    near = np.abs(middle - picture.seen).max() <= 6
    right = row.verdict == "ok" and near and (row.width, row.height) == picture.size
    return None if right else f"{row.verdict!r}, {middle}, {row.width} x {row.height}"


def in_bounds(extra_mib: int, work: Callable[[], Any]) -> Any:
    """What it returns in a child that may take so much more memory than this process has."""
    out, sent = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            torch.set_num_threads(1)
            now = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
            resource.setrlimit(resource.RLIMIT_AS, (now + extra_mib * MIB,) * 2)
            os.write(sent, json.dumps(work()).encode())
        finally:
            os._exit(0)
    os.close(sent)
    with os.fdopen(out) as answer:
        said = answer.read()
    os.waitpid(child, 0)
    return json.loads(said or '"it died"')


def what_bombs_say(files_: list[tuple[Attack, Path]], side: int) -> list[str]:
    """Those that are not refused as they should be, or not seen as they are."""
    wrong = []
    for attack, path in files_:
        take = read_tensors if path.suffix == ".pth" else lambda p: unpack(p, p.parent / "out")
        try:
            take(path)
            wrong.append(f"{attack.name}: taken")
        except UserError as error:
            if not re.search(attack.said, str(error)):
                wrong.append(f"{attack.name}: {error}")
        except MemoryError:
            wrong.append(f"{attack.name}: no memory")
    for bomb in pictures.bombs(side):
        try:
            pixels = decode(bomb.make(), MOST_PIXELS)
        except (UnreadableImage, MemoryError) as error:
            wrong.append(f"{bomb.name}: {error!r}")
        else:
            if pixels.shape != (side, side, 3) or tuple(pixels[5, 5]) != bomb.seen:
                wrong.append(f"{bomb.name}: {pixels.shape}, {pixels[5, 5]}")
    return wrong


@pytest.mark.parametrize(
    ("side", "mib"), [(2000, 120), pytest.param(10_000, 1300, marks=pytest.mark.slow)]
)
def test_bombs_take_no_memory(side: int, mib: int, tmp_path: Path) -> None:
    """Of a picture that may be decoded some seven bytes a pixel; of others nothing."""
    made = []
    for at, attack in enumerate([*weights.BOMBS, *archives.BOMBS]):
        (tmp_path / str(at)).mkdir()
        made.append((attack, attack.make(tmp_path / str(at))))
    assert in_bounds(mib, lambda: what_bombs_say(made, side)) == []


def test_hostile_names(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def picture(number: int) -> bytes:
        noise = np.random.default_rng(number).integers(0, 256, (20, 24, 3))
        return pictures.encoded(noise.astype(np.uint8))

    root, artifacts = tmp_path / "photos", Artifacts.at(tmp_path / "x")
    number = names.photos(root, picture)
    params = composed("dataset=folder", f"dataset.path={root}")
    dataset = Experiment.from_params(params).dataset
    assert isinstance(dataset, Folder)
    dataset.download(artifacts.raw(dataset.name), artifacts.downloads)
    report = prepare(dataset, artifacts)
    assert report["usable"] == report["listed"] == number
    assert report["passed_over"]["kinds"] == {"pipe, socket or device": len(names.NO_FILES)}
    assert report["passed_over"]["dangling_links"] == len(names.LINKS)
    frame = manifest.read(artifacts.manifest)
    assert {Path(path).name for path in frame["path"]} == set(names.NAMES)
    show(report, artifacts.data_report)
    assert not re.search(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]", capsys.readouterr().out)


@pytest.mark.parametrize("target", configurations.GADGETS)
def test_gadgets(target: str) -> None:
    """In a whole configuration; at other places: tests/config/test_components.py."""
    params = composed()
    params["model"]["_target_"] = target
    with pytest.raises(UserError, match=r"model\._target_"):
        Experiment.from_params(params)


@pytest.mark.parametrize("text", configurations.TAGS.values(), ids=configurations.TAGS)
def test_yaml_that_is_code(text: str, tmp_path: Path) -> None:
    (tmp_path / "params.yaml").write_text(text)
    with pytest.raises(UserError):
        Experiment.from_file(tmp_path / "params.yaml")


def test_yaml_that_grows(tmp_path: Path) -> None:
    (tmp_path / "params.yaml").write_text(configurations.laughs())
    with pytest.raises(UserError, match="values are no configuration"):
        Experiment.from_file(tmp_path / "params.yaml")


@pytest.mark.parametrize("text", configurations.INTERPOLATIONS)
def test_interpolations_read_nothing(text: str, canary: Path) -> None:
    """Whatever a value says of the environment stands nowhere afterwards."""
    params = composed()
    params["dataset"]["name"] = text
    with pytest.raises(UserError) as stop:
        Experiment.from_params(params)
    assert str(canary) not in str(stop.value)
    if "HOME" in text:
        assert "MLFLOW_TRACKING_PASSWORD" in str(stop.value)
