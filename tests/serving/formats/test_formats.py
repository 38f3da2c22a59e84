"""Each format on a network of a few weights: what its own runtime says is what torch says."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from small_network import network

from graftwork.config.errors import UserError
from graftwork.metrics.softmax import softmax
from graftwork.model_folder.contents import Contract, Preprocessing
from graftwork.models.network.classifier import Classifier
from graftwork.serving.exported_network import ExportedNetwork
from graftwork.serving.exporting import Wanted, described
from graftwork.serving.formats import FORMATS, named

CLASSES = ["blé", 'a "quoted" one', "<b>"]
FAMILIES = {  # timm's smallest of each, and sides; VGG's pooling of less than 7 x 7 ONNX lacks
    "tf_efficientnet_lite0": 64, "mobilenetv2_050": 64, "resnet10t": 64, "vgg11": 224,
    "vit_tiny_patch16_224": 32, "convnext_atto": 64,
}  # fmt: skip


@pytest.fixture(scope="module")
def tiny() -> Classifier:
    return network("tiny_cnn", 32)


def contract(classifier: Classifier) -> Contract:
    seen = Preprocessing(40, 10**6)
    return Contract(3, {}, CLASSES, classifier.input_spec, seen, {}, None, "", {"head": "0"})


def pictures(count: int, height: int, width: int) -> np.ndarray:
    drawn = np.random.default_rng(count).integers(0, 256, (count, height, width, 3))
    return drawn.astype(np.uint8)


def written(
    classifier: Classifier, folder: Path, name: str, precision: str = "fp32", takes: str = "photos"
) -> ExportedNetwork:
    """Writes an export; returns what it was made of."""
    kind, made = named(name), contract(classifier)
    body = precision if precision in kind.halved else "fp32"
    exported = ExportedNetwork(classifier, made, takes, body)
    size = classifier.input_spec.size
    calibration = [pictures(8, size, size)[row : row + 1] for row in range(8)]
    about = described(made, Wanted(name, precision, takes), kind)
    kind.write(exported, folder, precision, calibration, about)
    assert {path.name for path in folder.iterdir()} == set(kind.files)
    return exported


@pytest.mark.filterwarnings("ignore")  # torch's own, about TorchScript
@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=[] if name in ("onnx", "torchscript") else [pytest.mark.slow])
        for name in FORMATS
    ],
)
def test_photos_of_any_size_and_any_number(tiny: Classifier, tmp_path: Path, name: str) -> None:
    exported = written(tiny, tmp_path, name)
    run = named(name).load(tmp_path, "fp32")
    for shape in ((1, 37, 90), (3, 200, 64), (2, 32, 32), (5, 20, 11)):
        images = pictures(*shape)
        with torch.inference_mode():
            expected = exported(torch.from_numpy(images)).numpy()
        found = run(images)
        assert found.dtype == np.float32 and found.shape == (shape[0], 3)
        assert np.abs(softmax(found) - softmax(expected)).max() < 1e-5
    told = metadata(tmp_path, name)
    assert json.loads(told["classes"]) == CLASSES
    assert told["input"].startswith("images: uint8 RGB [B, H, W, 3]")


SLOW = {
    *(("onnx", "int8"), ("openvino", "int8"), ("openvino", "fp16")),
    *(("torch_export", "fp16"), ("torch_export", "bf16")),
}


@pytest.mark.parametrize(
    ("name", "precision"),
    [
        pytest.param(*pair, marks=[pytest.mark.slow] if pair in SLOW else [])
        for pair in ((name, precision) for name in FORMATS for precision in named(name).tolerances)
    ],
)
def test_views_in_every_precision(
    tiny: Classifier, tmp_path: Path, name: str, precision: str
) -> None:
    written(tiny, tmp_path, name, precision, "views")
    views = pictures(8, 32, 32)
    with torch.inference_mode():
        expected = tiny(tiny.normalise(torch.from_numpy(views))).numpy()
    run = named(name).load(tmp_path, precision)
    found = run(views)
    apart = np.abs(softmax(found) - softmax(expected)).max(axis=1)
    tolerance = named(name).tolerances[precision]
    assert apart.max() <= tolerance.largest and apart.mean() <= tolerance.mean
    assert np.allclose(run(views[:1]), found[:1], atol=1e-2), "any number of pictures"
    exact = np.abs(found - expected).max() < 1e-5
    # Weights of OpenVINO's fp16 are rounded; bf16 is the CPU's, which may lack it.
    assert exact == (precision == "fp32") or (name, precision) == ("openvino", "bf16")


def metadata(folder: Path, name: str) -> dict[str, str]:
    """What stands in the file, read by the runtime."""
    if name == "onnx":
        import onnxruntime

        session = onnxruntime.InferenceSession(folder / "model.onnx")
        return dict(session.get_modelmeta().custom_metadata_map)
    if name == "openvino":
        from graftwork.features.engines.openvino_engine import openvino

        info = openvino().Core().read_model(folder / "model.xml").get_rt_info("graftwork")
        return {key: str(value) for key, value in info.value.items()}
    extra = {"classes": "", "input": ""}
    if name == "torch_export":
        torch.export.load(folder / "model.pt2", extra_files=extra)
    else:
        torch.jit.load(folder / "model.pt", _extra_files=extra)
    return {
        key: value if isinstance(value, str) else value.decode() for key, value in extra.items()
    }


@pytest.mark.slow
@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.parametrize("architecture", FAMILIES)
def test_every_family(tmp_path: Path, name: str, architecture: str) -> None:
    options = {"img_size": 32} if architecture.startswith("vit") else {}
    classifier = network(architecture, FAMILIES[architecture], **options)
    torch.nn.init.normal_(classifier.head.weight, std=0.1)  # type: ignore[arg-type]
    exported = written(classifier, tmp_path, name)
    images = pictures(3, 50, 70)
    with torch.inference_mode():
        expected = softmax(exported(torch.from_numpy(images)).numpy())
    found = softmax(named(name).load(tmp_path, "fp32")(images))
    assert np.abs(found - expected).max() < 1e-4 and expected.std(axis=0).max() > 1e-4


def test_what_a_format_lacks_is_said_before_any_work() -> None:
    with pytest.raises(UserError, match=r"--format: 'onxn' is unknown. Did you mean 'onnx'"):
        Wanted("onxn", "fp32", "photos").checked()
    with pytest.raises(UserError, match="torchscript has no int8. Legal: fp32, fp16, bf16"):
        Wanted("torchscript", "int8", "photos").checked()
    with pytest.raises(UserError, match="--precision: 'fp31' is unknown"):
        Wanted("onnx", "fp31", "photos").checked()
    with pytest.raises(UserError, match="Say --takes views"):
        Wanted("openvino", "bf16", "photos").checked()
    with pytest.raises(UserError, match="--takes: 'photo' is unknown. Did you mean 'photos'"):
        Wanted("onnx", "fp32", "photo").checked()


def test_a_missing_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    from graftwork.serving import format as formats

    monkeypatch.setattr(formats, "find_spec", lambda name: None if name == "nncf" else True)
    Wanted("onnx", "fp32", "photos").checked()
    with pytest.raises(UserError, match=r"onnx needs nncf.*pip install 'graftwork\[export\]'"):
        Wanted("onnx", "int8", "photos").checked()
