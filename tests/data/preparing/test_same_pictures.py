"""One picture in other bytes is seen for what it is; pictures of one class are not."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from io import BytesIO

import numpy as np
import pytest
from listed_photos import Photos, verdicts
from PIL import Image, ImageOps

from graftwork.config.errors import UserError
from graftwork.data.images import DecodedImages
from graftwork.data.preparing import same_pictures
from graftwork.data.preparing.preparation import prepare
from graftwork.data.preparing.same_pictures import SIDE, look
from graftwork.reporting.report import copies
from graftwork.storage.artifacts import Artifacts


@cache
def scene(seed: int, kind: int = 0) -> Image.Image:
    """Blurred patches, of which pictures of one kind share the coarsest."""
    coarse = np.random.default_rng(kind).integers(60, 196, (3, 4, 3))
    fine = np.random.default_rng([7, seed]).integers(-60, 60, (9, 12, 3))
    patches = [
        Image.fromarray(p.astype(np.uint8)).resize((160, 120), 3) for p in (coarse, fine + 60)
    ]
    mixed = np.asarray(patches[0], np.int16) + np.asarray(patches[1], np.int16) - 60
    return Image.fromarray(np.clip(mixed, 0, 255).astype(np.uint8))


def saved(image: Image.Image, kind: str = "JPEG", **options: int) -> bytes:
    out = BytesIO()
    image.save(out, kind, **options)
    return out.getvalue()


CHANGES: dict[str, Callable[[Image.Image], bytes]] = {
    "recompressed": lambda image: saved(image, quality=30),
    "as another kind": lambda image: saved(image, "WEBP", quality=60),
    "resized": lambda image: saved(image.resize((80, 60)), quality=80),
    "enlarged": lambda image: saved(image.resize((300, 225)), quality=70),
    "squeezed": lambda image: saved(image.resize((120, 120)), quality=80),
    "mirrored": lambda image: saved(ImageOps.mirror(image)),
    "upside down": lambda image: saved(ImageOps.flip(image)),
    "turned left": lambda image: saved(image.rotate(90, expand=True)),
    "turned over": lambda image: saved(image.rotate(180)),
    "turned right, smaller": lambda image: saved(image.rotate(270, expand=True).resize((60, 80))),
    "mirrored, turned": lambda image: saved(ImageOps.mirror(image).rotate(90, expand=True)),
    "cut": lambda image: saved(image.crop((11, 3, 155, 111)), quality=80),
    "cut at a corner, smaller": lambda image: saved(image.crop((16, 0, 160, 108)).resize((80, 60))),
}


def groups(looks: np.ndarray) -> np.ndarray:
    return same_pictures.groups(looks, np.full(len(looks), 120))


def looks(*contents: bytes) -> np.ndarray:
    return np.stack([look(np.asarray(Image.open(BytesIO(c)).convert("RGB"))) for c in contents])


@pytest.mark.parametrize("change", CHANGES)
def test_a_changed_copy_is_the_same_picture(change: str) -> None:
    originals = [scene(seed) for seed in range(6)]
    files = [saved(image, "PNG") for image in originals]
    copies = [CHANGES[change](image) for image in originals]
    assert groups(looks(*files, *copies)).tolist() == [*range(6)] * 2


def test_different_pictures_are_not() -> None:
    """Of one class, of one series, or with nothing on them to tell them by."""
    of_a_class = looks(*(saved(scene(seed), "PNG") for seed in range(40)))
    assert groups(of_a_class).tolist() == list(range(40))
    base = np.asarray(scene(0), np.int16)
    series = [base + (np.asarray(scene(seed), np.int16) - base) // 4 for seed in range(40)]
    of_a_series = np.stack([look(image.astype(np.uint8)) for image in series])
    assert groups(of_a_series).tolist() == list(range(40))
    grey = np.random.default_rng(0).integers(0, 3, (40, SIDE, SIDE)).astype(np.uint8) + 100
    even = np.full((5, SIDE, SIDE), 90, np.uint8)
    assert groups(np.concatenate([grey, even])).tolist() == list(range(45))
    assert groups(of_a_class[:0]).tolist() == [] and groups(of_a_class[:1]).tolist() == [0]


def test_work_grows_with_the_pictures_even_where_all_are_alike(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    compared = []
    real = np.bitwise_count
    monkeypatch.setattr(
        np, "bitwise_count", lambda hashes: compared.append(len(hashes)) or real(hashes)
    )
    alike = np.repeat(looks(saved(scene(0), "PNG")), 400, axis=0)
    assert (groups(alike) == 0).all()
    whole = sum(compared)
    compared.clear()
    groups(alike[:200])
    assert whole < 2.1 * sum(compared)


@pytest.fixture
def leaking(photos: Photos) -> Photos:
    """A copy within train, one of it in test, one in train that is in val, one of another class."""
    for label, split, content in (
        ("pear", "train", saved(scene(0), "PNG")),
        ("pear", "train", CHANGES["resized"](scene(0))),
        ("pear", "test", CHANGES["mirrored"](scene(0))),
        ("pear", "val", CHANGES["turned left"](scene(1))),
        ("pear", "train", saved(scene(1), "PNG")),
        ("apple", "train", CHANGES["recompressed"](scene(2))),
        ("pear", "train", saved(scene(2), "PNG")),
        ("apple", "train", saved(scene(3), "PNG")),
        ("apple", "test", saved(scene(4), "PNG")),
        ("apple", "train", saved(scene(4), "PNG")),  # to the byte: left out whatever the policy
    ):
        photos.add(label, split, content=content)
    return photos


def test_they_are_reported(
    leaking: Photos, artifacts: Artifacts, capsys: pytest.CaptureFixture[str]
) -> None:
    report = prepare(leaking.dataset(decoded_side=64), artifacts)
    assert report["usable"] == 9
    found = report["same_picture"]
    assert (found["within_splits"], found["several_classes"]) == (2, 1)
    files = {
        f["path"][-7:]: (f["kept_in"], f["same_as"][-7:]) for f in found["across_splits"]["files"]
    }
    assert files == {
        "000.png": ("test", "002.png"),
        "001.png": ("test", "002.png"),
        "004.png": ("val", "003.png"),
    }
    shown = copies(report, DecodedImages(artifacts, leaking.dataset(decoded_side=64)), 2)
    assert [(one.split, one.kept_in) for one in shown] == [("train", "test")] * 2
    assert all("data:image/jpeg" in one.photo and one.photo != one.kept_photo for one in shown)
    how = "resized, recompressed, cut, mirrored or turned"
    for said in (
        f"2 pictures are others of their split, {how}.",
        f"3 pictures of train or val are also in another split, {how}. "
        "dataset.leakage=drop leaves them out.",
        f"1 picture, {how}, has several classes.",
    ):
        assert said in report["findings"]
    again = Artifacts.at(artifacts.root.parent / "again", shared=artifacts.root)
    assert prepare(leaking.dataset(decoded_side=64), again) == report, "from the decoded store, too"


def test_they_are_left_out_of_all_splits_but_one(leaking: Photos, artifacts: Artifacts) -> None:
    report = prepare(leaking.dataset(decoded_side=64, leakage="drop"), artifacts)
    told = verdicts(artifacts)
    left_out = {name: told[name][-7:] for name in told if "turned copy" in told[name]}
    assert left_out == {"000.png": "in test", "001.png": "in test", "004.png": " in val"}
    assert report["usable"] == 6 and report["unreadable"]["count"] == 0
    assert report["same_picture"]["across_splits"]["count"] == 3
    assert any(said.endswith("left out there.") for said in report["findings"])


def test_they_end_the_stage_exact_copies_too(leaking: Photos, artifacts: Artifacts) -> None:
    with pytest.raises(
        UserError, match=r"4 pictures .*\n  /.*000.png \(train\): /.*002.png"
    ) as stop:
        prepare(leaking.dataset(decoded_side=64, leakage="stop"), artifacts)
    assert "009.png (train)" in str(stop.value) and "leakage=drop" in str(stop.value)
    assert not artifacts.manifest.exists()


def test_splits_that_are_made_part_none(photos: Photos, artifacts: Artifacts) -> None:
    for label, kind in (("pear", 1), ("apple", 2)):
        for seed in range(12):
            image = scene(100 * kind + seed, kind)
            photos.add(label, content=saved(image, "PNG"))
            photos.add(label, content=CHANGES["resized"](image))
    found = prepare(photos.dataset(decoded_side=64, leakage="stop"), artifacts)
    assert found["same_picture"] == {
        "within_splits": 24, "across_splits": {"count": 0, "files": []}, "several_classes": 0,
    }  # fmt: skip
    assert all(found["splits"][name] for name in ("train", "val", "test"))
