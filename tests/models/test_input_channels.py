"""Grey pictures for networks of colour, and the other way round."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from conftest import composed

from graftwork.config.components import build
from graftwork.config.errors import UserError
from graftwork.models.base import Model, WeightsFile
from graftwork.models.input_channels import fit_first_convolution, levels
from graftwork.models.network.classifier import Classifier
from graftwork.process.vision import timm


def model(architecture: str, channels: int | None, size: int) -> Model:
    values = composed("model=timm", f"model.architecture={architecture}")["model"]
    values |= {"input_channels": channels, "input_size": size}
    chosen: Model = build(values, Model, "model")  # type: ignore[type-abstract]
    return chosen


def pretrained(file: Path, architecture: str, channels: int | None, size: int) -> Classifier:
    return model(architecture, channels, size).build(3, WeightsFile(file, "by_name", "here")).eval()


def weights(folder: Path, architecture: str, in_chans: int = 3) -> Path:
    """A file as after training: normalisation has met data."""
    torch.manual_seed(1)
    network = timm.create_model(architecture, in_chans=in_chans)
    for name, buffer in network.named_buffers():
        if name.endswith("running_var"):
            buffer.uniform_(0.5, 2)
    torch.save(network.state_dict(), folder / "w.pth")
    return folder / "w.pth"


def photo(size: int, *, grey: bool) -> torch.Tensor:
    generator = torch.Generator().manual_seed(0)
    pixels = torch.randint(0, 256, (2, size, size, 3), dtype=torch.uint8, generator=generator)
    return pixels[..., :1].expand(-1, -1, -1, 3).contiguous() if grey else pixels


def features(classifier: Classifier, images: torch.Tensor) -> torch.Tensor:
    with torch.no_grad():
        return classifier.features(classifier.normalise(images))


# Networks whose mean and std are the same for each channel; stems of a convolution and of patches.
@pytest.mark.parametrize(
    ("architecture", "size"),
    [
        ("tiny_cnn", 32),
        ("resnetv2_50", 32),
        ("vit_tiny_patch16_224", 48),
        ("tf_efficientnet_lite0", 32),
    ],
)
def test_a_grey_photo_gives_what_the_network_of_colour_gave(
    tmp_path: Path, architecture: str, size: int
) -> None:
    file = weights(tmp_path, architecture)
    grey, colour = (pretrained(file, architecture, channels, size) for channels in (1, None))
    assert (grey.input_spec.channels, colour.input_spec.channels) == (1, 3)
    assert grey.input_spec.mean == (0.5,)
    expected = features(colour, photo(size, grey=True))
    assert expected.std() > 1e-3
    assert torch.allclose(features(grey, photo(size, grey=True)), expected, rtol=1e-5, atol=1e-5)


def test_a_photo_of_colour_is_seen_as_its_luma(tmp_path: Path) -> None:
    file = weights(tmp_path, "tiny_cnn")
    grey, colour = (pretrained(file, "tiny_cnn", channels, 32) for channels in (1, None))
    luma = (photo(32, grey=False).float() @ torch.tensor([0.299, 0.587, 0.114])).unsqueeze(1)
    seen = colour.features(((luma - 127.5) / 127.5).expand(-1, 3, -1, -1))
    assert torch.allclose(features(grey, photo(32, grey=False)), seen, atol=1e-5)


def test_means_that_differ_are_averaged(tmp_path: Path) -> None:
    grey = pretrained(weights(tmp_path, "resnet10t"), "resnet10t", 1, 32)
    assert grey.input_spec.mean == pytest.approx(((0.485 + 0.456 + 0.406) / 3,))
    assert grey.input_spec.std == pytest.approx(((0.229 + 0.224 + 0.225) / 3,))


def test_weights_of_a_grey_network_are_shared_out_among_colours(tmp_path: Path) -> None:
    file = weights(tmp_path, "tiny_cnn", in_chans=1)
    colour = pretrained(file, "tiny_cnn", 3, 32)
    kernel = torch.load(file, weights_only=True)["stem.conv.weight"]
    found = colour.backbone.stem.conv.weight
    assert found.shape[1] == 3 and torch.allclose(found.sum(1, keepdim=True), kernel)
    assert torch.allclose(found[:, 0], found[:, 2])
    grey = pretrained(file, "tiny_cnn", 1, 32)
    expected = features(grey, photo(32, grey=True))
    assert torch.allclose(features(colour, photo(32, grey=True)), expected, atol=1e-5)


def test_levels_follow_the_channels() -> None:
    assert levels((0.1, 0.2, 0.6), 3) == (0.1, 0.2, 0.6)
    assert levels((0.1, 0.2, 0.6), 1) == pytest.approx((0.3,))
    assert levels((0.13,), 3) == pytest.approx((0.13, 0.13, 0.13))


def test_folded_neighbours_are_summed_by_colour() -> None:
    """A stem that turns 4x4 pixels into channels: each place keeps its own weight."""
    backbone = timm.create_model("tiny_cnn")
    folded = torch.randn(16, 48, 3, 3)
    expected = {"stem.conv.weight": torch.zeros(16, 16, 3, 3)}
    found = fit_first_convolution(backbone, {"stem.conv.weight": folded}, expected)
    summed = folded.view(16, 16, 3, 3, 3).sum(2)
    assert torch.allclose(found["stem.conv.weight"], summed)


def test_what_cannot_be_refitted_is_refused(tmp_path: Path) -> None:
    file = weights(tmp_path, "tiny_cnn", in_chans=4)
    with pytest.raises(UserError, match="of another shape: stem.conv.weight"):
        pretrained(file, "tiny_cnn", 1, 32)
