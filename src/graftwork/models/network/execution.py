"""The layers of a network in the order of execution, counted as Keras counts them.

Convolution, dense, normalisation, activation, pooling and padding are layers, and so are the
addition of a shortcut and the concatenation of branches, which no torch module stands for: one
forward pass shows all of them. What does nothing (Identity) or nothing while predicting (Dropout)
is none. Keras counts three more in its ResNet-50: the input, and the paddings of the first
convolution and of the first pooling, which are arguments here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any

import torch
from torch import nn
from torch.overrides import TorchFunctionMode

from graftwork.models.network.attached import own_modules, own_parameters
from graftwork.models.network.layout import BACKBONE, Executed

if TYPE_CHECKING:
    from graftwork.models.network.classifier import Classifier

FUNCTIONS = {
    **dict.fromkeys(("add", "add_", "__add__", "__iadd__", "__radd__"), "addition"),
    **dict.fromkeys(("cat", "concat", "concatenate"), "concatenation"),
    **dict.fromkeys(
        ("relu", "relu_", "relu6", "silu", "gelu", "hardswish", "hardtanh", "leaky_relu", "elu"),
        "activation",
    ),
    **dict.fromkeys(
        ("max_pool2d", "avg_pool2d", "adaptive_avg_pool2d", "adaptive_max_pool2d"), "pooling"
    ),
    "pad": "padding",
}
MODULES = (("Conv", "convolution"), ("Linear", "dense"), ("Pool", "pooling"), ("Pad", "padding"))


def executed_layers(classifier: Classifier) -> list[Executed]:
    """One forward pass of a blank picture; the classifier is left as it was."""
    spec, backbone, was_training = classifier.input_spec, classifier.backbone, classifier.training
    device = next(backbone.parameters()).device
    blank = torch.zeros(1, spec.channels, spec.size, spec.size, device=device)
    classifier.eval()
    with torch.no_grad(), _watched(backbone) as found:
        maps = backbone.forward_features(blank)
        if classifier.pooling.kind == "default":
            backbone.forward_head(maps, pre_logits=True)
    classifier.train(was_training)
    return found


def kind_of(module: nn.Module) -> str:
    """What the module is among layers; empty for one that only holds others, or does nothing."""
    if is_norm(module):
        return "normalisation"
    if next(own_modules(module), None) is not None:
        return ""
    name, home = type(module).__name__, type(module).__module__
    if ".activation" in home and "Attention" not in name:
        return "activation"
    return next((kind for word, kind in MODULES if word in name), "")


def is_norm(module: nn.Module) -> bool:
    """Normalisation of any kind, by class or by name (timm has many of its own)."""
    own = next(module.parameters(recurse=False), None) is not None
    leaf = next(module.children(), None) is None
    return (own or leaf) and any("Norm" in kind.__name__ for kind in type(module).__mro__)


@contextmanager
def _watched(backbone: nn.Module) -> Iterator[list[Executed]]:
    """Grows by a layer with each that is executed inside the context."""
    found: list[Executed] = []
    inside: list[nn.Module] = []  # layers that are at work: their functions are theirs

    def begin(name: str, kind: str, module: nn.Module, inputs: Any) -> None:
        parameters = (f"{name}.{own}" for own in own_parameters(module))
        found.append(Executed(kind, tuple(f"{BACKBONE}{own}" for own in parameters)))
        inside.append(module)

    def end(module: nn.Module, inputs: Any, output: Any) -> None:
        inside.pop()

    hooks = []
    for name, module in backbone.named_modules():
        if kind := kind_of(module):
            hooks.append(module.register_forward_pre_hook(partial(begin, name, kind)))
            hooks.append(module.register_forward_hook(end))
    try:
        with _Functions(lambda kind: None if inside else found.append(Executed(kind, ()))):
            yield found
    finally:
        for hook in hooks:
            hook.remove()


class _Functions(TorchFunctionMode):
    """Tells of each function that is a layer."""

    def __init__(self, tell: Callable[[str], None]) -> None:
        super().__init__()
        self._tell = tell

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kind = FUNCTIONS.get(getattr(func, "__name__", ""), "")
        if kind and _is_layer(kind, args):
            self._tell(kind)
        return func(*args, **(kwargs or {}))


def _is_layer(kind: str, args: Any) -> bool:
    """Of maps, not of numbers, shapes or windows of indices."""
    if kind == "concatenation":
        return len(args[0]) > 1 and _is_map(args[0][0])
    if kind == "addition":
        return len(args) > 1 and all(map(_is_map, args[:2])) and args[0].shape == args[1].shape
    return _is_map(args[0])


def _is_map(value: Any) -> bool:
    return isinstance(value, torch.Tensor) and value.ndim > 2 and value.is_floating_point()
