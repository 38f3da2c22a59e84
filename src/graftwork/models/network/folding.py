"""BatchNorm whose statistics stand still, joined with the convolution before it.

norm(conv(x)) = (weight * scale) x + shift: no pass over the maps is spent on it. `folding` does so
while a network trains, and undoes it; `fold` for good, in a copy that only predicts.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any

import torch
from torch import nn
from torch.nn.utils.parametrize import is_parametrized

from graftwork.models.network.attached import LIST, OfThePass

if TYPE_CHECKING:
    from graftwork.models.network.classifier import Classifier

Forward = Callable[[torch.Tensor], torch.Tensor]
Pair = tuple[nn.Conv2d, nn.BatchNorm2d]
TOLERANCE = 1e-3  # of the largest feature: rounding in float32, through a hundred layers


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
        with torch.no_grad(), folding(chosen):
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


def followed_by_norm(backbone: nn.Module, run: Callable[[], object]) -> list[Pair]:
    """Convolutions whose very output tensor is the input of a BatchNorm.

    Args:
        run: makes one forward pass, so that who follows whom is seen rather than guessed.
    """
    outputs: list[tuple[torch.Tensor, nn.Conv2d]] = []  # kept: an id must not be used twice
    changed: list[torch.Tensor] = []  # in place, between convolution and BatchNorm
    found: list[Pair] = []

    def see(module: nn.Module, inputs: tuple[torch.Tensor, ...], output: torch.Tensor) -> None:
        if isinstance(module, nn.Conv2d):
            outputs.append((output, module))
        elif isinstance(module, nn.BatchNorm2d) and module.running_mean is not None:
            if not any(tensor is inputs[0] for tensor in changed):
                found.extend((conv, module) for tensor, conv in outputs if tensor is inputs[0])
        elif getattr(module, "inplace", False):
            changed.append(inputs[0])

    hooks = [module.register_forward_hook(see) for module in backbone.modules()]
    try:
        run()
    finally:
        for hook in hooks:
            hook.remove()
    # A module that runs twice stands in two places: it cannot be folded into one of them.
    convolutions = [conv for _, conv in outputs]
    norms = [norm for _, norm in found]
    return [
        (conv, norm)
        for conv, norm in found
        if convolutions.count(conv) == 1 and norms.count(norm) == 1
    ]


@contextmanager
def folding(pairs: Sequence[Pair]) -> Iterator[None]:
    """Within this context the pairs are folded. Gradients reach the weights as they would have;
    parameters and buffers keep their names and values."""
    with ExitStack() as stack:
        for convolution, norm in pairs:
            if is_parametrized(convolution, "weight"):
                stack.enter_context(_scaled_updates(convolution, norm))
            stack.enter_context(forward_of(convolution, _scaled(convolution, norm)))
            stack.enter_context(forward_of(norm, _rest(norm).forward))
        yield


@contextmanager
def forward_of(module: nn.Module, forward: Forward) -> Iterator[None]:
    """Within this context the module runs another forward method."""
    before = module.__dict__.get("forward")
    module.forward = forward
    try:
        yield
    finally:
        del module.forward
        if before is not None:
            module.forward = before


def fold(network: nn.Module, pairs: Sequence[Pair]) -> None:
    """Folds the pairs for good: their BatchNorms are no modules of the network any more."""
    with torch.no_grad():
        for convolution, norm in pairs:
            weight, bias = _joined(convolution, norm)
            convolution.weight, convolution.bias = nn.Parameter(weight), nn.Parameter(bias)
    rest = {norm: _rest(norm) for _, norm in pairs}
    for name, module in list(network.named_modules(remove_duplicate=False)):
        if isinstance(module, nn.BatchNorm2d) and module in rest:
            network.set_submodule(name, rest[module])


class _Bare(nn.Module):
    """A convolution without its hooks, which run around it already."""

    def __init__(self, convolution: nn.Conv2d) -> None:
        super().__init__()
        self.convolution, self.plain = convolution, convolution.forward

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.plain(images)


def _scaled(convolution: nn.Conv2d, norm: nn.BatchNorm2d) -> Forward:
    """Pads and convolves as the convolution does, whatever its class, with the joined weights."""
    bare, computed = _Bare(convolution), is_parametrized(convolution, "weight")

    def forward(images: torch.Tensor) -> torch.Tensor:
        if computed:  # torch sets no weight that it computes: it comes out joined, and is asked for
            joined = {"convolution.bias": _joined_bias(convolution, norm)}
        else:
            weight, bias = _joined(convolution, norm)
            joined = {"convolution.weight": weight, "convolution.bias": bias}
        found: torch.Tensor = torch.func.functional_call(bare, joined, (images,))
        return found

    return forward


class _Times(OfThePass):
    """The scale of a BatchNorm."""

    def __init__(self, norm: nn.BatchNorm2d) -> None:
        super().__init__()
        self._norm = (norm,)

    def forward(self, weight: torch.Tensor) -> torch.Tensor:
        return weight * _affine(self._norm[0])[0].view(-1, 1, 1, 1)


@contextmanager
def _scaled_updates(convolution: nn.Conv2d, norm: nn.BatchNorm2d) -> Iterator[None]:
    """Within this context a weight with an update (graftwork.models.network.attached) comes out
    joined with the BatchNorm."""
    steps: Any = getattr(convolution, LIST)["weight"]
    steps.append(_Times(norm))
    try:
        yield
    finally:
        del steps[-1]


def _joined(convolution: nn.Conv2d, norm: nn.BatchNorm2d) -> tuple[torch.Tensor, torch.Tensor]:
    """Weights `[C, ...]` and biases `[C]` that make the BatchNorm needless."""
    scale, _ = _affine(norm)
    return convolution.weight * scale.view(-1, 1, 1, 1), _joined_bias(convolution, norm)


def _joined_bias(convolution: nn.Conv2d, norm: nn.BatchNorm2d) -> torch.Tensor:
    scale, shift = _affine(norm)
    return shift if convolution.bias is None else shift + convolution.bias * scale


def _affine(norm: nn.BatchNorm2d) -> tuple[torch.Tensor, torch.Tensor]:
    """`[C]` each: what a frozen BatchNorm multiplies by and adds."""
    assert norm.running_mean is not None and norm.running_var is not None
    with torch.no_grad():
        scale = torch.rsqrt(norm.running_var + norm.eps)
        scale = scale if norm.weight is None else scale * norm.weight
        shift = -norm.running_mean * scale
        return scale, shift if norm.bias is None else shift + norm.bias


def _rest(norm: nn.BatchNorm2d) -> nn.Module:
    """What remains: timm's BatchNormAct2d also carries dropout and the activation."""
    parts = (getattr(norm, "drop", None), getattr(norm, "act", None))
    kept = [part for part in parts if isinstance(part, nn.Module)]
    return nn.Sequential(*kept) if kept else nn.Identity()


@torch.no_grad()
def _livened(network: Classifier) -> Classifier:
    """Scales, biases and statistics as after a training. Draws from a generator of its own."""
    random = torch.Generator().manual_seed(1)
    for tensor in [*network.parameters(), *network.buffers()]:
        if tensor.ndim == 1 and tensor.is_floating_point():
            factor = torch.rand(tensor.shape, generator=random) + 0.5
            tensor.mul_(factor).add_(0.1 * torch.rand(tensor.shape, generator=random))
    return network
