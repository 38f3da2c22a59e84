"""What is stored is keyed by versions that the code declares: here stands what each one computes.

Where a result no longer is what was noted for its version, raise the version that the message
names and note the new numbers, which it prints. An own network that declares no version counts by
its code and needs no row.
"""

from __future__ import annotations

import hashlib
import io
import json
import re
from dataclasses import fields
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import CONF
from PIL import Image
from small_network import network

from graftwork import profiling
from graftwork.data.images import POLICY, VIEW, decode, eval_view
from graftwork.features.engines import openvino_engine
from graftwork.features.engines.base import FEATURES
from graftwork.features.engines.torch_engine import TorchEngine, eager_features
from graftwork.models.base import InputSpec
from graftwork.models.network.classifier import Classifier
from graftwork.models.timm_model import OWN, own_versions
from graftwork.models.versions import declared
from graftwork.profiling.chosen import model_of
from graftwork.profiling.profile import static_profile
from graftwork.profiling.speed import Speed

Numbers = tuple[float, ...]
MACHINES = 1e-3  # of the largest number: what float32 may differ by
LEVELS = (0.2, 0.2, *(1.01,) * 8)  # of the numbers of pixels: other machines may round otherwise

# Of each case the declared versions, and fingerprints of what they compute.
DECODED: dict[str, tuple[str, Numbers]] = {
    "plain": ("1", (134.62, 50.93, 164, 167, 95, 112, 39, 110, 181, 78)),
    "jpeg": ("1", (134.62, 50.57, 165, 170, 90, 106, 32, 124, 191, 90)),
    "turned": ("1", (134.61, 50.93, 226, 108, 167, 95, 110, 159, 145, 143)),
    "transparent": ("1", (197.17, 20.9, 190, 190, 184, 192, 216, 164, 211, 142)),
    "wide": ("1", (102.77, 39.14, 128, 124, 140, 90, 30, 86, 77, 161)),
}
VIEWED: dict[str, tuple[str, Numbers]] = {
    "24 bilinear": ("1", (130.3, 50.62, 166, 195, 129, 78, 141, 39, 188, 169)),
    "24 bicubic": ("1", (130.3, 50.62, 166, 195, 129, 78, 141, 39, 188, 169)),
    "53 bilinear": ("1", (130.38, 51.29, 166, 234, 122, 105, 124, 35, 155, 135)),
    "53 bicubic": ("1", (130.38, 51.29, 166, 234, 122, 105, 124, 35, 155, 135)),
    "96 bilinear": ("1", (130.37, 51.29, 167, 227, 198, 87, 45, 136, 86, 134)),
    "96 bicubic": ("1", (130.5, 51.78, 168, 228, 198, 91, 46, 134, 85, 133)),
}
COMPUTED: dict[str, tuple[str, Numbers]] = {
    "alexnet": ("1.1", (3.2758, 0.27071, 0.12938, 0.92115)),
    "alexnet_two_towers": ("1.1", (0.28476, 0.0058319, 0.039846, 0.21129)),
    "cifar_plain": ("1.1", (0.68363, -0.029154, -0.044245, 0.038221)),
    "cifar_plain20": ("1.1", (0.11399, 0.0085473, 0.010862, 0.018057)),
    "cifar_plain56": ("1.1", (0.01177, 0.0006717, 0.0012822, -0.0013925)),
    "cifar_resnet": ("1.1", (1.6995, 0.59206, 0.3681, -0.0075813)),
    "cifar_resnet20": ("1.1", (18.851, 0.33847, -0.51803, 3.2224)),
    "cifar_resnet56": ("1.1", (18460.0, 1904.6, 1683.0, -1942.0)),
    "cifar_resnet110": ("1.1", (3808600000.0, 617250000.0, 426870000.0, 307430000.0)),
    "googlenet": ("1.1", (5.8081, -0.51079, 0.27991, -0.34074)),
    "naive_inception": ("1.1", (58.748, -0.14836, -0.4704, 0.51624)),
    "lenet5": ("1.1", (0.044192, 0.24106, -0.24401, -0.18608)),
    "resnet12": ("1.1", (8.2605, 0.10895, 0.6602, -0.26998)),
    "shufflenet_v2_x0_5": ("1.1", (8.0007e-05, 1.8854e-06, -1.9363e-06, 1.854e-06)),
    "shufflenet_v2_x1_0": ("1.1", (0.00011794, -6.8781e-07, -5.995e-06, 7.4006e-06)),
    "shufflenet_v2_x1_5": ("1.1", (4.3093e-05, 2.3103e-07, 7.8059e-07, 4.4515e-07)),
    "shufflenet_v2_x2_0": ("1.1", (0.00018066, -1.0785e-06, 5.4126e-06, 5.0593e-06)),
    "squeezenet1_0": ("1.1", (8.2612, 0.034005, 0.53667, -0.020188)),
    "squeezenet1_1": ("1.1", (2.1427, 0.046367, -0.16458, 0.0077642)),
    "tiny_cnn": ("1.1", (0.094104, 0.0077911, -0.00082966, -0.0063481)),
    "vgg19_convolutions": ("1.1", (0.45414, 0.0011251, -0.00136, -0.010835)),
    "zfnet": ("1.1", (1.8518, 1.5855, 0.90237, 0.094702)),
    "tiny_cnn avg": ("1.1", (0.094104, 0.0077911, -0.00082966, -0.0063481)),
    "tiny_cnn max": ("1.1", (0.36799, 0.015088, 0.003697, -2.7041e-05)),
    "tiny_cnn avgmax": ("1.1", (0.23105, 0.011439, 0.0014337, -0.0031876)),
    "tiny_cnn flatten": ("1.1", (0.37641, -0.0034585, -0.012966, -0.0047591)),
    "tiny_cnn grey": ("1.1", (0.07051, 0.0057726, 0.0037711, -0.0041849)),
}
COUNTED = ("1", "aae08411df975aae")
MEASURED = (
    "1",
    "latency_ms latency_p95_ms images_per_s energy_mj_per_image energy_source batch_size "
    "precision device machine",
)

SMALL: dict[str, dict[str, Any]] = {  # what is no network of 32 px, or too large to be quick
    "alexnet": {"size": 64, "hidden": 8},
    "alexnet_two_towers": {"size": 67, "hidden": 8},
    "zfnet": {"size": 67, "hidden": 8},
    "cifar_plain": {"depth": 8},
    "cifar_resnet": {"depth": 8, "width": 8},
    "lenet5": {},
}
LARGE = ("naive_inception", "vgg19_convolutions")


@cache
def picture() -> np.ndarray:
    """uint8 `[70, 81, 3]`: smooth, with noise; numpy promises these numbers for ever."""
    rows, columns, colours = np.mgrid[:70, :81, :3]
    smooth = 128 + 60 * np.sin(rows / 9 + colours) + 40 * np.cos(columns / 7 - colours)
    noise = np.random.RandomState(0).randint(-20, 21, smooth.shape)
    return np.clip(smooth + noise, 0, 255).astype(np.uint8)


def fingerprint(values: np.ndarray) -> Numbers:
    """Four numbers that change with any value, and with the order of the values."""
    flat = values.astype(np.float64).ravel()
    waves = np.cos(np.outer(np.arange(4), np.arange(flat.size)))
    return tuple(float(f"{number:.5g}") for number in waves @ flat / np.sqrt(flat.size))


def samples(pixels: np.ndarray) -> Numbers:
    """Mean, standard deviation, and eight values of uint8 `[height, width, 3]`."""
    flat = pixels.ravel()
    some = flat[np.linspace(0, flat.size - 1, 8).astype(int)]
    return (round(float(flat.mean()), 2), round(float(flat.std()), 2), *map(int, some))


def unlike(
    noted: Any,
    case: str,
    versions: str,
    found: Numbers | str,
    remedy: str,
    tolerance: Numbers | None = None,
) -> str:
    """What to do where the result is not what was noted for these versions; else nothing."""
    expected_versions, expected = noted
    note = f"note for {case!r}: {(versions, found)}"
    if versions != expected_versions:
        return f"These versions are new: {note}"
    if isinstance(found, str):
        same = found == expected
    else:
        within = np.array(tolerance or MACHINES * max(map(abs, expected)))
        same = bool((np.abs(np.subtract(found, expected)) <= within).all())
    wrong = f"Not what version {versions} computes. Bump the version: {remedy}; {note}"
    return "" if same else wrong


def small_classifier(case: str) -> Classifier:
    architecture, *rest = case.split()
    arguments = {"size": None, **SMALL.get(architecture, {"size": 32})}
    if rest == ["grey"]:
        arguments["channels"] = 1
    elif rest:
        arguments["pooling"] = rest[0]
    return network(architecture, **arguments)


def seen(classifier: Classifier) -> np.ndarray:
    return eval_view(picture(), classifier.input_spec)[None]


def unlike_features(case: str, features: np.ndarray) -> str:
    own = own_versions()[case.split()[0]]
    remedy = (
        "VERSION in the network's own file, or FEATURES in graftwork/features/engines/base.py "
        "if others change too"
    )
    return unlike(COMPUTED[case], case, f"{FEATURES}.{own}", fingerprint(features), remedy)


@pytest.mark.parametrize(
    "case",
    [pytest.param(case, marks=[pytest.mark.slow] * (case in LARGE)) for case in COMPUTED],
)
def test_networks_compute_what_was_noted(case: str) -> None:
    classifier = small_classifier(case)
    assert not unlike_features(case, eager_features(classifier, seen(classifier)))


def test_whoever_declares_a_version_is_watched() -> None:
    texts = [path.read_text() for path in OWN.glob("*.py")]
    names = [
        re.findall(r"^@register_model\ndef (\w+)", text, re.M) for text in texts if declared(text)
    ]
    assert {name for found in names for name in found} <= {*COMPUTED}


@pytest.mark.parametrize("engine", ["torch", "openvino"])
def test_engines_compute_what_was_noted(engine: str, tmp_path: Path) -> None:
    classifier = small_classifier("tiny_cnn")
    views = seen(classifier)
    if engine == "torch":
        features = TorchEngine(classifier, "fp32")(views)
    else:
        openvino_engine.convert(classifier, 1, tmp_path)
        features = openvino_engine.OpenVinoEngine(tmp_path, "fp32")(views)
    assert not unlike_features("tiny_cnn", features)


@pytest.mark.parametrize("interpolation", ["bilinear", "bicubic"])
@pytest.mark.parametrize("size", [24, 53, 96])
def test_views_are_what_was_noted(size: int, interpolation: str) -> None:
    spec = InputSpec(size, (0.5,) * 3, (0.5,) * 3, interpolation, crop_pct=0.875)
    view, case = eval_view(picture(), spec), f"{size} {interpolation}"
    remedy = "VIEW in graftwork/data/images/resizing.py"
    noted = VIEWED.get(case, ("", ()))
    assert not unlike(noted, case, f"{VIEW}", samples(view), remedy, LEVELS)


def file_of(kind: str) -> bytes:
    image = Image.fromarray(picture())
    exif, options = Image.Exif(), {}
    if kind == "turned":
        exif[0x0112] = 6
    if kind == "transparent":
        image.putalpha(image.convert("L"))
    if kind == "wide":
        image = Image.fromarray(picture()[:, :, 0].astype(np.uint16) * 201)
    if kind == "jpeg":
        options = {"quality": 95}
    written = io.BytesIO()
    image.save(written, "JPEG" if kind == "jpeg" else "PNG", exif=exif, **options)
    return written.getvalue()


@pytest.mark.parametrize("kind", ["plain", "jpeg", "turned", "transparent", "wide"])
def test_pictures_are_decoded_as_was_noted(kind: str) -> None:
    pixels = decode(file_of(kind), 10_000, side=40)
    remedy = "POLICY in graftwork/data/images/decoding.py"
    noted = DECODED.get(kind, ("", ()))
    assert not unlike(noted, kind, f"{POLICY}", samples(pixels), remedy, LEVELS)


def test_profiles_count_what_was_noted() -> None:
    counted = json.dumps(static_profile(model_of("tiny_cnn", conf=CONF), 3).as_dict())
    found = hashlib.sha256(counted.encode()).hexdigest()[:16]
    remedy = "COUNTING in graftwork/profiling/__init__.py"
    assert not unlike(COUNTED, "COUNTED", f"{profiling.COUNTING}", found, remedy)


def test_measurements_have_the_fields_that_were_noted() -> None:
    found = " ".join(field.name for field in fields(Speed))
    remedy = "MEASURING in graftwork/profiling/__init__.py"
    assert not unlike(MEASURED, "MEASURED", f"{profiling.MEASURING}", found, remedy)


def test_another_result_asks_for_another_version() -> None:
    noted = ("1", (1.0, 2.0))
    assert unlike(noted, "x", "1", (1.0, 2.001), "") == ""
    said = unlike(noted, "x", "1", (1.0, 2.1), "raise it")
    assert "Bump the version: raise it; note" in said and "2.1" in said
    assert "These versions are new" in unlike(noted, "x", "2", (1.0, 2.0), "")
