"""How far to go from the probe to the trained network, on clean and on damaged test photos.

WiSE-FT (Wortsman et al. 2022) found that part of the way keeps the source network's steadiness
under shift at no cost where nothing shifts. Here: groceries, `lp_ft` of all training photos, its
test photos as they are and damaged in four ways (after Hendrycks & Dietterich 2019). Nothing is
chosen by these numbers.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from benchmarks.sweeping import Say
from benchmarks.workplace import Workplace

if TYPE_CHECKING:
    import torch

    from graftwork.models.network.classifier import Classifier

SIZE, BATCH, SEEDS = 96, 64, (0, 1, 2)
SHARES = tuple(step / 10 for step in range(11))
EXPECTED = (
    "On clean photos the best share is 0.7 to 1; on damaged ones a smaller share is better than "
    "all of the way, by more than on clean ones."
)
Damage = Callable[[np.ndarray, int], np.ndarray]


@dataclass(frozen=True)
class Point:
    """Top-1 at one share of the way, by kind of photo."""

    share: float
    top1: Mapping[str, float]


def damages() -> dict[str, Damage]:
    """uint8 `[S, S, 3]` and its index to the same, damaged; `clean` first."""
    import albumentations as A

    kinds = {
        "noise": A.GaussNoise(std_range=(0.12, 0.12), p=1),
        "blur": A.GaussianBlur(sigma_limit=(1.5, 1.5), blur_limit=(9, 9), p=1),
        "darkness": A.RandomBrightnessContrast((-0.4, -0.4), (-0.4, -0.4), p=1),
        "compression": A.ImageCompression(quality_range=(8, 8), p=1),
    }

    def of(transform: A.BasicTransform) -> Damage:
        composed = A.Compose([transform])

        def damage(image: np.ndarray, index: int) -> np.ndarray:
            composed.set_random_seed(index)
            found: np.ndarray = composed(image=image)["image"]
            return found

        return damage

    return {"clean": lambda image, index: image} | {name: of(kind) for name, kind in kinds.items()}


def points(place: Workplace, seed: int, say: Say) -> list[Point]:
    """Trains, and measures every share of the way."""
    from graftwork.model_folder import contents as model_folder

    shared = (f"model.input_size={SIZE}", f"seed={seed}", "selection=none", "dataset=groceries")
    folders = {}
    for strategy in ("linear_probe", "lp_ft"):
        say(f"{strategy}, seed {seed}")
        folders[strategy] = place.folder / f"{strategy}-{seed}"
        if (folders[strategy] / "reports" / "metrics.json").is_file():
            continue  # an earlier start of the same folder went so far
        place.run(
            "pipelines.experiment", *shared, f"transfer={strategy}", "tracking.log_model=false",
            f"hydra.run.dir={folders[strategy]}",
        )  # fmt: skip
    start, _ = model_folder.load(folders["linear_probe"] / "model")
    network, _ = model_folder.load(folders["lp_ft"] / "model")
    first = {name: tensor.clone() for name, tensor in start.state_dict().items()}
    last = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    views, labels = _photos(place, folders["lp_ft"], network)
    shown = {
        kind: np.stack([damage(view, index) for index, view in enumerate(views)])
        for kind, damage in damages().items()
    }
    found = []
    for share in SHARES:
        network.load_state_dict({n: _between(first[n], last[n], share) for n in last})
        found.append(Point(share, {kind: _top1(network, v, labels) for kind, v in shown.items()}))
    return found


def _between(start: torch.Tensor, end: torch.Tensor, share: float) -> torch.Tensor:
    return start.lerp(end, share) if end.is_floating_point() else end


def _photos(
    place: Workplace, folder: Path, network: Classifier
) -> tuple[list[np.ndarray], np.ndarray]:
    """The test photos as the network sees them, and their labels."""
    from graftwork.data import manifest
    from graftwork.data.images import DecodedImages, eval_view
    from graftwork.experiment import Experiment
    from graftwork.storage.artifacts import Artifacts

    artifacts = Artifacts.at(folder, shared=place.folder)
    experiment = Experiment.from_file(folder / "params.yaml")
    frame = manifest.of_split(manifest.read(artifacts.manifest), "test")
    images = DecodedImages(artifacts, experiment.dataset)
    pairs = zip(frame["sha256"], frame["path"], strict=True)
    views = [eval_view(images.get(*pair), network.input_spec) for pair in pairs]
    return views, frame["label"].to_numpy()


def _top1(network: Classifier, views: np.ndarray, labels: np.ndarray) -> float:
    import torch

    said: list[torch.Tensor] = []
    with torch.inference_mode():
        for start in range(0, len(views), BATCH):
            pixels = torch.from_numpy(views[start : start + BATCH])
            said.append(network(network.normalise(pixels)).argmax(1))
    return float((torch.cat(said).numpy() == labels).mean())


def wise_curve(folder: Path, docs: Path, say: Say, seeds: tuple[int, ...]) -> int:
    """Measures and writes the page, to docs/ only of all seeds. Returns the exit code, 0."""
    from benchmarks.wise_curve_page import written

    folder.mkdir(parents=True, exist_ok=True)
    place = Workplace.at(folder.absolute())
    found = {seed: points(place, seed, say) for seed in seeds}
    text, svg = written(found)
    for into in (folder, *((docs,) if seeds == SEEDS else ())):
        (into / "wise_curve.md").write_text(text, encoding="utf-8")
        (into / "wise_curve.svg").write_text(svg, encoding="utf-8")
    say(text)
    return 0
