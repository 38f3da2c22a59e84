"""A network in two: a frozen prefix, whose maps never change in training, and the rest.

The forward pass is traced by torch.fx, but only into modules through which the boundary may run:
every other one is called as it stands, so that its mode, hooks and faster forward passes count in
the rest as they do in the whole network. Both halves share their weights with the network.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

import torch
from torch import fx, nn

from graftwork.models.network.classifier import BATCH_NORMS, Classifier, pooled
from graftwork.models.network.layer_groups import Backbone
from graftwork.models.network.pooling import Pooling

SAME = 1e-4  # of the largest feature: as near the halves come to the whole network, in float32
RANDOM = (
    *(nn.Dropout, nn.Dropout1d, nn.Dropout2d, nn.Dropout3d),
    *(nn.AlphaDropout, nn.FeatureAlphaDropout),
)
Still = Callable[[nn.Module], bool]


class Unsplittable(Exception):
    """Why a network cannot be split, in a sentence without its full stop."""


@dataclass(frozen=True)
class Split:
    """The halves of a network.

    Attributes:
        boundary: the module behind which they are parted, named within the backbone.
        prefix: normalised float `[B, C, S, S]` to maps `[B, *shape]`.
        rest: those maps to features, as `Classifier.features` gives them.
        shape: of one picture's maps.
        channels_last: whether maps `[B, C, H, W]` lie in memory channel by channel of a position.
    """

    boundary: str
    prefix: fx.GraphModule
    rest: fx.GraphModule
    shape: tuple[int, ...]
    channels_last: bool


class Path(nn.Module):
    """From normalised pictures to features: what `Classifier.features` does, as one module."""

    def __init__(self, backbone: Backbone, pooling: Pooling) -> None:
        super().__init__()
        self.backbone, self.pooling = backbone, pooling

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return pooled(self.backbone, self.pooling, images)


def split(classifier: Classifier) -> Split:
    """Parts the network before the first module that training changes.

    What asks for gradients is trained; what is in train mode and normalises by the batch or draws
    at random moves, too. So the classifier comes frozen as it is in training.

    Raises:
        Unsplittable: says why.
    """
    path, was_training = Path(classifier.backbone, classifier.pooling), classifier.training
    try:
        classifier.train()
        moving = {module for module in path.modules() if _moves(module)}  # else BatchNorm is looked
        graphs = [  # into in one mode alone, and the two graphs differ by that
            traced(path, lambda module: module not in moving)
            for _ in (classifier.train(mode) for mode in (False, True))
        ]
        if str(graphs[0]) != str(graphs[1]):
            raise Unsplittable("its forward pass itself draws at random in training")
        graph = graphs[1]
        cut = _cut(path, graph)
        halves = _halves(path, graph, cut)
        return _checked(classifier.eval(), _name(cut), *halves)
    finally:
        classifier.train(was_training)


class _Trunk(nn.Module):
    def __init__(self, backbone: Backbone) -> None:
        super().__init__()
        self.backbone = backbone

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.backbone.forward_features(images)


def first_steps(backbone: Backbone) -> fx.GraphModule:
    """What `forward_features` does before the first layer that asks for gradients.

    Returns:
        a module whose layers have the names that they have within the backbone.

    Raises:
        Unsplittable: says why.
    """
    trunk = _Trunk(backbone)
    graph = traced(trunk, lambda module: not _moves(module))
    cut = _cut(trunk, graph)
    for node in graph.nodes:
        if node.op in ("call_module", "get_attr"):
            node.target = str(node.target).removeprefix("backbone.")
    return _halves(backbone, graph, cut)[0]


def traced(path: nn.Module, still: Still) -> fx.Graph:
    """The forward pass; modules that hold both still and moving layers are looked into, until the
    first that moves.

    Raises:
        Unsplittable: its control flow depends on values.
    """
    try:
        return _Tracer(still).trace(path)
    except Exception as error:  # whatever the code of a network does with what stands for tensors
        reason = " ".join(str(error).split())[:200]
        raise Unsplittable(f"its forward pass cannot be traced ({reason})") from error


class _Tracer(fx.Tracer):
    def __init__(self, still: Still) -> None:
        super().__init__()
        self._still, self._moved = still, False

    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        if self._moved or self._still(m):
            return True
        if any(True for _ in m.children()) and _holds_frozen(m):
            return False
        self._moved = True
        return True


def _holds_frozen(module: nn.Module) -> bool:
    """A frozen normalisation among trained layers is no part of a prefix."""
    return any(
        not parameter.requires_grad
        for layer in module.modules()
        if not isinstance(layer, BATCH_NORMS)
        for parameter in layer.parameters(recurse=False)
    )


def _moves(module: nn.Module) -> bool:
    """Whether training changes what this module does to a picture."""
    if any(parameter.requires_grad for parameter in module.parameters()):
        return True
    return any(layer.training and _lives(layer) for layer in module.modules())


def _lives(layer: nn.Module) -> bool:
    """Whether it is another one in train mode."""
    if isinstance(layer, RANDOM):
        return layer.p > 0
    drops = bool(getattr(layer, "drop_prob", 0))  # timm's DropPath and DropBlock
    return drops or isinstance(layer, BATCH_NORMS)


def _first_moving(path: nn.Module, graph: fx.Graph) -> fx.Node:
    """The first step of the forward pass that training changes; the output where none does."""
    for node in graph.nodes:
        if node.op == "call_module" and _moves(path.get_submodule(str(node.target))):
            return node
        if node.op == "get_attr" and _attribute(path, str(node.target)).requires_grad:
            return min(node.users)
    return next(iter(reversed(graph.nodes)))


def _attribute(path: nn.Module, name: str) -> torch.Tensor:
    owner, _, last = name.rpartition(".")
    found = getattr(path.get_submodule(owner), last)
    return found if isinstance(found, torch.Tensor) else torch.empty(0)


def _cut(path: nn.Module, graph: fx.Graph) -> fx.Node:
    """The last step before the first that moves whose result is all that the steps behind read."""
    moving, found, before = _first_moving(path, graph), None, []
    for node in graph.nodes:
        if node is moving:
            break
        before.append(node)
        known = set(before)
        crossing = {
            one for one in before if one.op != "get_attr" and not set(one.users) <= known
        }  # what is read directly stands with its reader
        if crossing == {node} and node.op != "placeholder":
            found = node
    if found is None:
        raise Unsplittable(
            "its first layers are trained, so that nothing is frozen before them"
            if moving.op != "call_module"
            or any(p.requires_grad for p in path.get_submodule(str(moving.target)).parameters())
            else "its first layers follow each batch (statistics of BatchNorm, or drawn drops), so "
            "that no maps stay the same"
        )
    return found


def _halves(
    path: nn.Module, graph: fx.Graph, cut: fx.Node
) -> tuple[fx.GraphModule, fx.GraphModule]:
    nodes = list(graph.nodes)
    at = nodes.index(cut) + 1
    before, after = nodes[:at], nodes[at:-1]
    direct = [node for node in before if node.op == "get_attr"]
    prefix = [node for node in before if node not in direct or set(node.users) & set(before)]
    rest = [*(node for node in direct if set(node.users) & set(after)), *after]
    return _part(path, prefix, {}, cut), _part(path, rest, {cut: "maps"}, nodes[-1].args[0])


def _part(
    path: nn.Module, nodes: Iterable[fx.Node], inputs: Mapping[fx.Node, str], result: fx.Node
) -> fx.GraphModule:
    """A module of these steps; what they read and nothing gives is its input."""
    part = fx.Graph()
    known = {node: part.placeholder(name) for node, name in inputs.items()}
    for node in nodes:
        known[node] = part.node_copy(node, lambda one: known[one])
    part.output(known[result])
    return fx.GraphModule(path, part)


def _name(cut: fx.Node) -> str:
    node = cut
    while node.op != "call_module" and node.op != "placeholder":
        node = node.prev
    return str(node.target).removeprefix("backbone.")


def _checked(
    classifier: Classifier, name: str, prefix: fx.GraphModule, rest: fx.GraphModule
) -> Split:
    """The halves, once together they gave what the whole gives, and all of it is in them."""
    _check_nothing_lost(classifier, rest)
    spec, noise = classifier.input_spec, torch.Generator().manual_seed(0)
    images = torch.randn(2, spec.channels, spec.size, spec.size, generator=noise)
    images = images.contiguous(memory_format=torch.channels_last)
    with torch.inference_mode():
        expected, maps = classifier.features(images), prefix(images)
        if not (isinstance(maps, torch.Tensor) and maps.is_floating_point() and len(maps) == 2):
            raise Unsplittable(f"what {name} gives is no tensor of one entry a picture")
        found = rest(maps)
    if not torch.allclose(found, expected, rtol=0, atol=SAME * float(expected.abs().max())):
        raise Unsplittable("its halves do not give what the whole network gives")
    last = maps.ndim == 4 and maps.is_contiguous(memory_format=torch.channels_last)
    return Split(name, prefix, rest, tuple(maps.shape[1:]), last)


def _check_nothing_lost(classifier: Classifier, rest: nn.Module) -> None:
    """Tracing turns what is computed of weights alone into a constant, which nothing trains."""
    reached = set(map(id, rest.parameters()))
    for name, parameter in classifier.backbone.named_parameters():
        if parameter.requires_grad and id(parameter) not in reached:
            raise Unsplittable(f"tracing loses {name}, which is trained")
