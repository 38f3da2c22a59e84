"""Forward passes that train faster and compute the same. All of it is undone after training."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager

import torch
from torch import nn

from graftwork.features.engines.torch_engine import followed_by_norm
from graftwork.models.classifier import Classifier

Forward = Callable[[torch.Tensor], torch.Tensor]
Pair = tuple[nn.Conv2d, nn.BatchNorm2d]
TOLERANCE = 1e-3  # of the largest feature: rounding in float32, through a hundred layers


@contextmanager
def fast_forward(
    classifier: Classifier, *, fold: Sequence[Pair], depthwise_fp32: bool
) -> Iterator[None]:
    """Within this context the classifier's forward pass is a faster one.

    Args:
        fold: pairs whose BatchNorm is frozen: its affine map joins the weights of the convolution
            before it, so that no pass over the pictures is spent on it. Gradients reach the
            weights as they would have; parameters and buffers keep their names and values.
        depthwise_fp32: depthwise convolutions leave autocast on the CPU. They are bound by
            memory, and oneDNN's backward pass for them in bf16 takes four to five times as long.
    """
    with ExitStack() as stack:
        for module in _depthwise(classifier) if depthwise_fp32 else []:
            stack.enter_context(_forward(module, _in_fp32(module.forward)))
        for convolution, norm in fold:
            stack.enter_context(_forward(convolution, _scaled(convolution, norm)))
            stack.enter_context(_forward(norm, _what_remains(norm)))
        yield


@contextmanager
def _forward(module: nn.Module, forward: Forward) -> Iterator[None]:
    before = module.__dict__.get("forward")
    module.forward = forward
    try:
        yield
    finally:
        del module.forward
        if before is not None:
            module.forward = before


def _depthwise(network: nn.Module) -> list[nn.Conv2d]:
    convolutions = [module for module in network.modules() if isinstance(module, nn.Conv2d)]
    return [conv for conv in convolutions if 1 < conv.groups == conv.in_channels]


def _in_fp32(forward: Forward) -> Forward:
    def without_autocast(images: torch.Tensor) -> torch.Tensor:
        with torch.autocast(images.device.type, enabled=False):
            return forward(images.float())

    return without_autocast


def foldable(classifier: Classifier) -> list[Pair]:
    """The pairs of convolution and BatchNorm that can be folded without changing the network.

    Who follows whom is seen in a forward pass. That does not show who else reads what the
    convolution gives (a shortcut, in MaxViT and CoAtNet), so the folded network is compared with
    the plain one: on a copy whose statistics and biases are drawn anew, because a BatchNorm that
    does nothing yet, or a branch that is multiplied by zero, would hide the difference.
    """
    if not any(isinstance(module, nn.BatchNorm2d) for module in classifier.backbone.modules()):
        return []
    twin = _livened(copy.deepcopy(classifier).eval())
    pairs = norms_behind(twin)
    spec, noise = twin.input_spec, torch.Generator().manual_seed(0)
    images = torch.randn(2, spec.channels, spec.size, spec.size, generator=noise)
    with torch.no_grad():
        expected = twin.features(images)

    def same(chosen: Sequence[Pair]) -> bool:
        with torch.no_grad(), fast_forward(twin, fold=chosen, depthwise_fp32=False):
            difference = (twin.features(images) - expected).abs().max()
        return bool(difference <= TOLERANCE * expected.abs().max())

    if not same(pairs):
        pairs = [pair for pair in pairs if same([pair])]
        pairs = pairs if same(pairs) else []
    ours = dict(zip(twin.modules(), classifier.modules(), strict=True))
    return [(ours[convolution], ours[norm]) for convolution, norm in pairs]  # type: ignore[misc]


def norms_behind(classifier: Classifier) -> list[Pair]:
    """Each convolution whose output a BatchNorm reads, found by one forward pass."""
    spec, was_training = classifier.input_spec, classifier.training
    blank = torch.zeros(1, spec.channels, spec.size, spec.size)
    with torch.no_grad():
        pairs = followed_by_norm(classifier.backbone, lambda: classifier.eval().features(blank))
    classifier.train(was_training)
    return pairs


@torch.no_grad()
def _livened(network: Classifier) -> Classifier:
    """Scales, biases and statistics as after a training. Draws from a generator of its own."""
    random = torch.Generator().manual_seed(1)
    for tensor in [*network.parameters(), *network.buffers()]:
        if tensor.ndim == 1 and tensor.is_floating_point():
            factor = torch.rand(tensor.shape, generator=random) + 0.5
            tensor.mul_(factor).add_(0.1 * torch.rand(tensor.shape, generator=random))
    return network


def _scaled(convolution: nn.Conv2d, norm: nn.BatchNorm2d) -> Forward:
    """norm(conv(x)) = (weight * scale) x + shift, with the statistics of norm as they are."""
    plain = convolution.forward
    parameters = convolution._parameters

    def forward(images: torch.Tensor) -> torch.Tensor:
        scale, shift = _affine(norm)
        weight, bias = parameters["weight"], parameters["bias"]
        assert weight is not None
        parameters["weight"] = weight * scale.view(-1, 1, 1, 1)  # type: ignore[assignment]
        parameters["bias"] = shift if bias is None else shift + bias * scale  # type: ignore[assignment]
        try:
            return plain(images)
        finally:
            parameters["weight"], parameters["bias"] = weight, bias

    return forward


def _affine(norm: nn.BatchNorm2d) -> tuple[torch.Tensor, torch.Tensor]:
    """`[channels]` each: what a frozen BatchNorm multiplies by and adds."""
    assert norm.running_mean is not None and norm.running_var is not None
    with torch.no_grad():
        scale = torch.rsqrt(norm.running_var + norm.eps)
        scale = scale if norm.weight is None else scale * norm.weight
        shift = -norm.running_mean * scale
        return scale, shift if norm.bias is None else shift + norm.bias


def _what_remains(norm: nn.BatchNorm2d) -> Forward:
    """timm's BatchNormAct2d also carries dropout and the activation."""
    parts = [getattr(norm, name, None) for name in ("drop", "act")]
    kept = [part for part in parts if isinstance(part, nn.Module)]

    def forward(images: torch.Tensor) -> torch.Tensor:
        for part in kept:
            images = part(images)
        return images

    return forward
