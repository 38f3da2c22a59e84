"""Near-duplicates planted among the project's photos: which `prepare` sees, and what else."""

from __future__ import annotations

import io
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

from graftwork.config.errors import UserError
from graftwork.data import manifest
from graftwork.data.images import decode
from graftwork.data.preparing import same_pictures
from graftwork.experiment import Experiment
from graftwork.storage.artifacts import Artifacts

PLANTED = 100  # of each kind
Change = Callable[[Image.Image, np.random.Generator], Image.Image]


def _resized(photo: Image.Image, numbers: np.random.Generator) -> Image.Image:
    scale = numbers.uniform(0.4, 1.5)
    return photo.resize([max(1, round(scale * side)) for side in photo.size])


def _turned(photo: Image.Image, numbers: np.random.Generator) -> Image.Image:
    return photo.rotate(90 * int(numbers.integers(1, 4)), expand=True)


def _cropped(photo: Image.Image, numbers: np.random.Generator) -> Image.Image:
    width, height = (round(0.9 * side) for side in photo.size)
    left = int(numbers.integers(photo.width - width + 1))
    top = int(numbers.integers(photo.height - height + 1))
    return photo.crop((left, top, left + width, top + height))


KINDS: dict[str, tuple[Change, int]] = {  # and the quality of its JPEG
    "resized to 40 to 150 %": (_resized, 90),
    "turned by quarters": (_turned, 90),
    "mirrored": (lambda photo, _: ImageOps.mirror(photo), 90),
    "encoded again, quality 30": (lambda photo, _: photo, 30),
    "cropped to 90 % of each side": (_cropped, 90),
}


def planted(project: Path, seed: int = 0) -> Iterator[str]:
    """The found share of each kind, and the share of all other pairs that are named.

    Raises:
        UserError: the project has no prepared photos.
    """
    artifacts = Artifacts.at(project)
    if not artifacts.manifest.is_file():
        raise UserError(f"{artifacts.manifest}: no photos were prepared. Run `make repro` first.")
    dataset = Experiment.from_file(artifacts.params).dataset
    paths = sorted(manifest.usable(manifest.read(artifacts.manifest))["path"])
    contents = [dataset.open(path) for path in paths]
    numbers = np.random.default_rng(seed)
    origins: list[int] = []
    for change, quality in KINDS.values():
        for at in numbers.choice(len(paths), PLANTED, replace=False).tolist():
            photo = ImageOps.exif_transpose(Image.open(io.BytesIO(contents[at]))).convert("RGB")
            encoded = io.BytesIO()
            change(photo, numbers).save(encoded, "JPEG", quality=quality)
            contents.append(encoded.getvalue())
            origins.append(at)
    pixels = [decode(content, dataset.max_pixels, dataset.decoded_side) for content in contents]
    looks = np.stack([same_pictures.look(picture) for picture in pixels])
    sides = np.array([min(picture.shape[:2]) for picture in pixels])
    begun = time.perf_counter()
    groups = same_pictures.groups(looks, sides)
    seconds = time.perf_counter() - begun
    return _told(groups, len(paths), np.array(origins), seconds)


def _told(groups: np.ndarray, photos: int, origins: np.ndarray, seconds: float) -> Iterator[str]:
    found = groups[photos:] == groups[origins]
    for number, kind in enumerate(KINDS):
        share = found[number * PLANTED : (number + 1) * PLANTED].mean()
        yield f"{kind}: {100 * share:.0f} % of {PLANTED} found"
    of = np.concatenate([np.arange(photos), origins])  # which photo each picture shows
    pairs = len(of) * (len(of) - 1) // 2 - _alike(of)
    named = _alike(groups) - _alike(groups * len(of) + of)
    yield (
        f"of {pairs:,} other pairs {named} are named ({100 * named / pairs:.4f} %); "
        f"{len(of)} looks compared in {seconds:.1f} s"
    )


def _alike(names: np.ndarray) -> int:
    """Pairs of pictures that share a name."""
    counts = np.unique(names, return_counts=True)[1]
    return int((counts * (counts - 1) // 2).sum())
