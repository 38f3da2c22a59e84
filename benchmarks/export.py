"""Four formats, six families: how true exports are, and how fast; of views as evaluation sees them.

The project's own trained network is exported as it is. The others have random weights, at a smaller
size, and a head that spreads their logits over the photos, so that answers are many and near ties
not rare.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmarks.workplace import told
from graftwork.config.errors import UserError, check_choice
from graftwork.model_folder import contents as model_folder
from graftwork.process.progress import count_bar
from graftwork.profiling.chosen import model_of
from graftwork.serving.certificate import BATCH, Answers, compared
from graftwork.serving.exporting import Wanted, described
from graftwork.serving.formats import FORMATS
from graftwork.serving.real_photos import RealPhotos, of_experiment
from graftwork.storage.artifacts import Artifacts

if TYPE_CHECKING:
    from graftwork.model_folder.contents import Contract
    from graftwork.models.network.classifier import Classifier

FAMILIES = {
    "efficientnet_lite0": "EfficientNet",
    "mobilenetv2": "MobileNet",
    "resnet18": "ResNet",
    "vit_tiny": "ViT",
    "convnext_atto": "ConvNeXt",
    "vgg11": "VGG",
}
SIDE = 128  # px, of networks of random weights: a third of the work of 224
OWN = ("vgg11",)  # at their own size: of less than 7 x 7 positions VGG's pooling is none of ONNX's
SPREAD = 2.0  # standard deviation over photos of each of their logits
PRECISIONS = {"onnx": ("fp32", "int8"), "openvino": ("fp32", "int8")}  # of others fp32 alone
CALIBRATING = 100  # of the test photos, for networks of random weights
MOST, FLIPS = 1e-4, 0  # in fp32
HEAD = (
    "| family | network | format | precision | largest difference | other answers | accuracy |"
    " images/s | of fp32 | MB |\n|---|---|---|---|---|---|---|---|---|---|"
)


@dataclass(frozen=True)
class Row:
    """One export."""

    family: str
    word: str
    wanted: Wanted
    told: dict[str, Any]  # as of `compared`
    rate: list[float]  # images/s, in batches
    size: int  # bytes

    def line(self, fp32: Row) -> str:
        """Of the table, beside the same format in fp32."""
        apart, photos = self.told["network"], self.told["photos"]
        speed = np.median(self.rate) / np.median(fp32.rate)
        gain = self.told["accuracy"]["difference"]
        points = [f"{100 * gain[name]:+.1f}" for name in ("value", "low", "high")]
        cells = (
            *(self.family, self.word, self.wanted.format, self.wanted.precision),
            f"{apart['largest_difference']:.1e}",
            f"{apart['flips']} of {photos}",
            f"{points[0]} ({points[1]} to {points[2]}) points" if self.word == TRAINED else "",
            *(told(self.rate, 0), "" if self is fp32 else f"{speed:.2f}", f"{self.size / 1e6:.1f}"),
        )
        return f"| {' | '.join(cells)} |"


TRAINED = "efficientnet_lite0"  # the default's own


def exports(
    project: Path, repeats: int, say: Callable[[str], None], words: Sequence[str] = ()
) -> int:
    """Prints the table. Returns 1 where an export in fp32 is not what it should be.

    Args:
        words: those of `FAMILIES`; empty: all.

    Raises:
        UserError: there is no trained network in the project, or no such word.
    """
    for word in words:
        check_choice("--networks", word, FAMILIES)
    artifacts = Artifacts.at(project)
    trained, contract = model_folder.load(artifacts.model)
    if contract.architecture.get("name") != TRAINED:
        raise UserError(f"{artifacts.model}: is no {TRAINED}. Run `make repro` first.")
    photos = of_experiment(artifacts, contract)
    say(HEAD)
    wrong = []
    for word in words or FAMILIES:
        network = trained if word == TRAINED else _random(word, len(contract.classes))
        fp32: dict[str, Row] = {}
        for row in _of_network(word, network, contract, photos, repeats):
            fp32.setdefault(row.wanted.format, row)
            say(row.line(fp32[row.wanted.format]))
            apart = row.told["network"]
            if row.wanted.precision == "fp32":
                good = apart["largest_difference"] <= MOST and apart["flips"] <= FLIPS
                wrong += [] if good else [f"{word} as {row.wanted.format}"]
    say(f"in fp32 beyond {MOST} or with other answers: {', '.join(wrong) or 'none'}")
    return bool(wrong)


def _random(word: str, classes: int) -> Classifier:
    import torch

    torch.manual_seed(0)
    smaller = () if word in OWN else (f"model.input_size={SIDE}",)
    classifier = model_of(word, smaller).build(classes, None).eval()
    torch.nn.init.normal_(classifier.head.weight)  # type: ignore[arg-type]
    return classifier


def _spread(classifier: Classifier, logits: np.ndarray) -> np.ndarray:
    """Gives the head another scale and origin; returns the logits that it then gives."""
    import torch

    scale, origin = SPREAD / logits.std(axis=0), logits.mean(axis=0)
    with torch.no_grad():
        weight, bias = (classifier.get_parameter(f"head.{name}") for name in ("weight", "bias"))
        weight.mul_(torch.from_numpy(scale)[:, None])
        bias.sub_(torch.from_numpy(origin)).mul_(torch.from_numpy(scale))
    return np.asarray((logits - origin) * scale)


def _of_network(
    word: str, classifier: Classifier, contract: Contract, photos: RealPhotos, repeats: int
) -> Iterator[Row]:
    from dataclasses import replace

    from graftwork.features.engines.torch_engine import eager_features

    contract = replace(contract, input_spec=classifier.input_spec)
    views = np.stack([photos.seen(ref, contract).view for ref in photos.refs])
    expected = _over(lambda images: eager_features(classifier, images, classifier), views, word)
    if word != TRAINED:
        expected = _spread(classifier, expected)
    calibration = (
        list(photos.inputs("views", contract))
        if word == TRAINED
        else [view[None] for view in views[:CALIBRATING]]
    )
    for name in FORMATS:
        for precision in PRECISIONS.get(name, ("fp32",)):
            wanted = Wanted(name, precision, "views")
            with tempfile.TemporaryDirectory() as folder:
                place = Path(folder)
                run = _written(wanted, classifier, contract, calibration, place)
                found = _over(run, views, f"{word} {wanted.name}")
                size = sum(path.stat().st_size for path in place.iterdir())
                rate = [_rate(run, views[:BATCH]) for _ in range(repeats)]
            own, exported = _chances(expected), _chances(found)
            said = Answers(exported, own, own, np.zeros(len(views)))
            yield Row(FAMILIES[word], word, wanted, compared(said, photos.labels), rate, size)


def _written(
    wanted: Wanted,
    classifier: Classifier,
    contract: Contract,
    calibration: list[np.ndarray],
    folder: Path,
) -> Callable[[np.ndarray], np.ndarray]:
    from graftwork.serving.exported_network import ExportedNetwork

    kind = wanted.checked()
    network = ExportedNetwork(classifier, contract, wanted.takes, "fp32")
    about = described(contract, wanted, kind)
    kind.write(network, folder, wanted.precision, calibration, about)
    return kind.load(folder, wanted.precision)


def _over(run: Callable[[np.ndarray], np.ndarray], views: np.ndarray, title: str) -> np.ndarray:
    rows = []
    with count_bar(title, len(views)) as bar:
        for start in range(0, len(views), BATCH):
            rows.append(run(views[start : start + BATCH]))
            bar(start)
    return np.concatenate(rows)


def _rate(run: Callable[[np.ndarray], np.ndarray], images: np.ndarray) -> float:
    """Images/s; the best of three, since other programs only ever make it slower."""
    took = []
    for _ in range(3):
        begun = time.perf_counter()
        run(images)
        took.append(time.perf_counter() - begun)
    return len(images) / min(took)


def _chances(logits: np.ndarray) -> np.ndarray:
    from graftwork.metrics.softmax import softmax

    return softmax(logits)
