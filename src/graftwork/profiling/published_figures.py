"""Published figures of the classic networks, each checked against what the network really costs.

Tables of parameters and operations are copied from slide to slide; where one is wrong, the profile
prints the right number beside it. "Operations" of the papers are multiply-accumulates (MAC).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from graftwork.profiling.layers import Layer

CLASSES = 1000  # of ImageNet, to which all figures belong


@dataclass(frozen=True)
class Row:
    """One layer of a published table."""

    name: str
    channels: int
    side: int  # px of the square map; 1: a vector
    kib: int  # of the output, fp32, one image
    kparameters: int  # thousands; bias terms are left out by some tables
    mmacs: int  # millions
    quoted_mmacs: int | None = None  # what is usually printed, where that is wrong


ALEXNET_SIZE = 227  # px; the first convolution pads by 2: 56 positions a side
ALEXNET = (  # one tower
    Row("conv1", 64, 56, 784, 23, 73),
    Row("pool1", 64, 27, 182, 0, 0),
    Row("conv2", 192, 27, 547, 307, 224),
    Row("pool2", 192, 13, 127, 0, 0),
    Row("conv3", 384, 13, 254, 664, 112),
    Row("conv4", 256, 13, 169, 885, 150, quoted_mmacs=145),
    Row("conv5", 256, 13, 169, 590, 100),
    Row("pool5", 256, 6, 36, 0, 0),
    Row("fc6", 4096, 1, 16, 37_749, 38),
    Row("fc7", 4096, 1, 16, 16_777, 17),
    Row("fc8", 1000, 1, 4, 4_096, 4),
)
GOOGLENET_STEM = (  # input 224 px
    Row("conv 7x7/2", 64, 112, 3136, 9, 118),
    Row("max pool", 64, 56, 784, 0, 0),
    Row("conv 1x1", 64, 56, 784, 4, 13),
    Row("conv 3x3", 192, 56, 2352, 111, 347),
    Row("max pool", 192, 28, 588, 0, 0),
)


@dataclass(frozen=True)
class Convolution:
    """One convolution of an inception module, stride 1, same padding."""

    name: str
    inputs: int
    outputs: int
    kernel: int

    def macs(self, side: int) -> int:
        """Of one image whose map is `side` x `side`."""
        return side**2 * self.inputs * self.outputs * self.kernel**2


INCEPTION_SIDE = 28
NAIVE_INCEPTION = (  # 28 x 28 x 256: 854 M MAC
    Convolution("1x1", 256, 128, 1),
    Convolution("3x3", 256, 192, 3),
    Convolution("5x5", 256, 96, 5),
)
INCEPTION = (  # the same with bottlenecks of 64: 271 M MAC by its own rows
    Convolution("1x1", 256, 128, 1),
    Convolution("1x1 before 3x3", 256, 64, 1),
    Convolution("3x3", 64, 192, 3),
    Convolution("1x1 before 5x5", 256, 64, 1),
    Convolution("5x5", 64, 96, 5),
    Convolution("1x1 after pool", 256, 64, 1),
)
QUOTED_INCEPTION_MMACS = 358


def module_macs(convolutions: Sequence[Convolution]) -> int:
    """MAC of an inception module at 28 x 28."""
    return sum(convolution.macs(INCEPTION_SIDE) for convolution in convolutions)


@dataclass(frozen=True)
class ResNet:
    """A row of the ResNet paper (He et al. 2015, tables 1 and 4)."""

    gmacs: float  # stride in the first 1x1 of a bottleneck
    top5_error: float  # %, ImageNet validation, averaged over crops or scales as the paper does


RESNETS = {
    18: ResNet(1.8, 10.92),
    34: ResNet(3.6, 8.58),
    50: ResNet(3.8, 7.13),
    101: ResNet(7.6, 6.44),
    152: ResNet(11.3, 5.94),
}
VGG16_FIRST_FC = 102_760_448  # weights: 512 x 7 x 7 x 4096


@dataclass(frozen=True)
class Remark:
    """A published figure beside the profile's own."""

    what: str
    quoted: str
    own: str  # empty: nothing to compare with
    agrees: bool
    why: str  # where they differ


def remarks(
    architecture: str, size: int, num_classes: int, layers: Sequence[Layer]
) -> list[Remark]:
    """What is published about a network, and whether it is so.

    Args:
        architecture: timm's name, with or without a tag.
        size: px of the input; figures hold at the size that they were given for.
        num_classes: likewise: of the ImageNet classifier.
        layers: of the network with its classifier.
    """
    name = architecture.partition(".")[0]
    if num_classes != CLASSES:
        return []
    for pattern, size_of_figures, check in _CHECKS:
        if (match := re.fullmatch(pattern, name)) and size == size_of_figures:
            return list(check(match, layers))
    return []


def main_rows(layers: Sequence[Layer]) -> list[Layer]:
    """The rows that published tables have: convolutions, fully connected layers, poolings that
    change the size; no normalisation."""
    return [
        layer
        for layer in layers
        if layer.output and (layer.macs or (not layer.parameters and len(layer.output) == 3))
    ]


def _alexnet(match: re.Match[str], layers: Sequence[Layer]) -> Iterator[Remark]:
    rows = main_rows(layers)
    if len(rows) != len(ALEXNET):
        return
    for published, own in zip(ALEXNET, rows, strict=True):
        if published.quoted_mmacs:
            per_position = f"{own.macs // published.side**2:,}".replace(",", " ")
            yield Remark(
                f"{published.name} of AlexNet, MAC",
                f"{published.quoted_mmacs} M",
                f"{own.macs / 1e6:.1f} M",
                round(own.macs / 1e6) == published.quoted_mmacs,
                f"{published.side} x {published.side} positions times {per_position} weights",
            )
    yield _parameters("61 M", 61e6, layers, "")


def _googlenet(match: re.Match[str], layers: Sequence[Layer]) -> Iterator[Remark]:
    run = [layer for layer in layers if layer.output]
    yield _parameters(
        "5 M",
        5e6,
        run,
        "counts without the classifier and some more; this is everything that runs, auxiliary "
        "heads left out",
    )
    own = module_macs(INCEPTION) / 1e6
    yield Remark(
        "Inception module with bottlenecks, 28 x 28 x 256, MAC",
        f"{QUOTED_INCEPTION_MMACS} M",
        f"{own:.0f} M",
        round(own) == QUOTED_INCEPTION_MMACS,
        f"the sum of its own rows (naive: {module_macs(NAIVE_INCEPTION) / 1e6:.0f} M)",
    )


def _vgg16(match: re.Match[str], layers: Sequence[Layer]) -> Iterator[Remark]:
    yield _parameters("138 M", 138e6, layers, "")
    largest = max(layers, key=lambda layer: layer.parameters)
    weights = largest.parameters - largest.output[0]
    yield Remark(
        "weights of the first fully connected layer",
        f"{VGG16_FIRST_FC:,}".replace(",", " "),
        f"{weights:,}".replace(",", " "),
        weights == VGG16_FIRST_FC,
        "",
    )


def _resnet(match: re.Match[str], layers: Sequence[Layer]) -> Iterator[Remark]:
    depth = int(match[1])
    paper, own = RESNETS[depth], sum(layer.macs for layer in layers) / 1e9
    agrees = round(own, 1) <= paper.gmacs + 0.1  # the paper cuts digits off
    yield Remark(
        f"ResNet-{depth} of the paper, MAC",
        f"{paper.gmacs} G",
        f"{own:.2f} G",
        agrees,
        "" if agrees else "the paper halves the side in a block's first 1x1, this build in its 3x3",
    )
    yield Remark(
        f"ResNet-{depth} of the paper, ImageNet top-5 error",
        f"{paper.top5_error} %",
        "",
        True,
        "",
    )


def _parameters(quoted: str, value: float, layers: Sequence[Layer], why: str) -> Remark:
    own = sum(layer.parameters for layer in layers)
    agrees = abs(own - value) < 0.01 * value
    return Remark("parameters", quoted, f"{own / 1e6:.2f} M", agrees, "" if agrees else why)


Check = Callable[[re.Match[str], Sequence[Layer]], Iterator[Remark]]
_CHECKS: tuple[tuple[str, int, Check], ...] = (
    (r"alexnet", ALEXNET_SIZE, _alexnet),
    (r"googlenet", 224, _googlenet),
    (r"vgg16", 224, _vgg16),
    (rf"resnet({'|'.join(map(str, RESNETS))})", 224, _resnet),
)
