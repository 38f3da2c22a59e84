"""Classifier: backbone -> pooling -> head, with layer groups and an honest freeze."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from functools import partial

import torch
from torch import nn

from graftwork.models.base import MAPS, InputSpec
from graftwork.models.batch_norm import moves_statistics, trains_affine
from graftwork.models.network.attached import is_update, own_parameters, plain_name
from graftwork.models.network.execution import executed_layers, is_norm
from graftwork.models.network.layer_groups import Backbone, LayerGroup, backbone_groups
from graftwork.models.network.layout import BACKBONE, Layout
from graftwork.models.network.pooling import Pooling

LUMA = (0.299, 0.587, 0.114)  # ITU-R BT.601, as PIL and OpenCV turn colour into grey
HEAD = "head"
BATCH_NORMS = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d, nn.SyncBatchNorm)


class Classifier(nn.Module):
    """A backbone, a pooling and a head.

    Pictures come as uint8 `[B, size, size, 3]` and pass `normalise` first, so that loaders move
    bytes and the normalisation travels with the network (converted networks carry it inside).

    Args:
        backbone: a network with timm's interface (`forward_features`, `forward_head`), without
            its classifier.
        pooling: one of graftwork.models.base.POOLINGS.
        head: a module from `[B, num_features]` to `[B, num_classes]`.
        input_spec: what the backbone wants to see.
        num_features: width of what the pooling returns.
    """

    backbone: Backbone
    _mean: torch.Tensor
    _std: torch.Tensor

    def __init__(
        self,
        backbone: Backbone,
        pooling: str,
        head: nn.Module,
        input_spec: InputSpec,
        num_features: int,
    ) -> None:
        super().__init__()
        self.backbone = backbone
        self.pooling = pooling_of(backbone, pooling)
        self.head = head
        self.input_spec = input_spec
        self.num_features = num_features
        self._unused = unused_parameters(self)
        self._held = False  # whether the backbone's own parameters stay as they are
        self._still: tuple[nn.Module, ...] = ()  # modules that stay in eval mode
        self._following: tuple[nn.Module, ...] = ()  # but these BatchNorms, in train mode
        self._rest: Callable[[torch.Tensor], torch.Tensor] | None = None  # see resuming()
        for name, values in (("mean", input_spec.mean), ("std", input_spec.std)):
            level = torch.tensor(values, dtype=torch.float32).mul(255).view(1, -1, 1, 1)
            self.register_buffer(f"_{name}", level, persistent=False)
        self.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    # forward
    def normalise(self, images: torch.Tensor) -> torch.Tensor:
        """uint8 RGB `[B, S, S, 3]` to float32 `[B, C, S, S]` in channels_last order.

        A network for grey pictures (a mean of length 1) gets their luma. Stored maps are normalised
        already: see `resuming`.
        """
        if self._rest is not None:
            return images if torch.is_autocast_enabled(images.device.type) else images.float()
        pixels = images.permute(0, 3, 1, 2).float()
        if self.input_spec.channels == 1:
            weights = torch.tensor(LUMA, device=pixels.device).view(1, 3, 1, 1)
            pixels = (pixels * weights).sum(1, keepdim=True)
        return (pixels - self._mean) / self._std

    def features(self, images: torch.Tensor) -> torch.Tensor:
        """Normalised float `[B, C, S, S]` to `[B, num_features]`, what the head reads.

        For a head that reads maps those are `[B, num_features, H, W]`.
        """
        if self._rest is not None:
            return self._rest(images)
        return pooled(self.backbone, self.pooling, images)

    def vectors(self, images: torch.Tensor) -> torch.Tensor:
        """As `features`; where the head reads maps, their mean over all positions."""
        features = self.features(images)
        return features.mean((2, 3)) if self.pooling.kind == MAPS else features

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Normalised float `[B, C, S, S]` to logits `[B, num_classes]`."""
        return self.head(self.features(images))

    @contextmanager
    def resuming(self, rest: Callable[[torch.Tensor], torch.Tensor]) -> Iterator[None]:
        """Within this context pictures are the maps that a frozen prefix made of them.

        Args:
            rest: of the network, from those maps to features; see
                graftwork.models.network.splitting.
        """
        self._rest = lambda maps: rest(maps)  # a module would become one of this network's own
        try:
            yield
        finally:
            self._rest = None

    # layer groups
    def layer_groups(self) -> list[LayerGroup]:
        """From the stem to the last group of the backbone, then `head`."""
        head = tuple(f"{HEAD}.{name}" for name, _ in self.head.named_parameters())
        return [*backbone_groups(self.backbone, self._unused), LayerGroup(HEAD, head)]

    def layout(self) -> Layout:
        """The backbone as a strategy's parts are told it."""
        norms, batch_norms = (
            frozenset(
                f"{BACKBONE}{name}.{own}"
                for name, module in self.backbone.named_modules()
                if chosen(module)
                for own in own_parameters(module)
            )
            for chosen in (is_norm, _is_batch_norm)
        )
        groups = tuple(self.layer_groups()[:-1])
        return Layout(groups, norms, batch_norms, partial(executed_layers, self))

    def named_of(self, group: LayerGroup) -> list[tuple[str, nn.Parameter]]:
        """The parameters of one layer group by their plain names, in order; where an update is
        attached to a weight, those of the update in its place."""
        found: dict[str, list[nn.Parameter]] = {}
        for name, parameter in self.named_parameters():
            if is_update(name) or plain_name(name) == name:
                found.setdefault(plain_name(name), []).append(parameter)
        return [(name, parameter) for name in group.parameters for parameter in found[name]]

    def parameters_of(self, group: LayerGroup) -> list[nn.Parameter]:
        """The parameters of one layer group, in order; see `named_of`."""
        return [parameter for _, parameter in self.named_of(group)]

    def no_weight_decay(self) -> set[str]:
        """Names of parameters that the backbone's authors exempt from weight decay."""
        names: set[str] = getattr(self.backbone, "no_weight_decay", set)()
        return {f"backbone.{name}" for name in names}

    # freezing
    def hold(self, held: bool) -> None:
        """Says whether the backbone's own parameters stay as they are, whatever is trained: what is
        attached to them learns in their place."""
        self._held = held

    def movable(self, names: Collection[str]) -> frozenset[str]:
        """Those of the backbone's parameters that can be trained: where its own stay as they are,
        the ones that an update is attached to."""
        if not self._held:
            return frozenset(names)
        updated = {plain_name(name) for name, _ in self.named_parameters() if is_update(name)}
        return frozenset(updated.intersection(names))

    def freeze(self, trained: Sequence[bool], batch_norm: str, *, head: bool = True) -> None:
        """Says which layer groups are trained from now on; see `train_only`.

        Args:
            trained: for each group of the backbone (without the head), from the stem on.
        """
        groups = self.layer_groups()[:-1]
        assert len(trained) == len(groups), (len(trained), len(groups))
        chosen = (group.parameters for group, train in zip(groups, trained, strict=True) if train)
        self.train_only({name for names in chosen for name in names}, batch_norm, head=head)

    def train_only(self, names: Collection[str], batch_norm: str, *, head: bool = True) -> None:
        """Says what is trained from now on; everything else stays bit-identical, buffers included.

        Half a freeze is none: without gradients BatchNorm's statistics still move in train mode.
        So frozen modules are kept in eval mode, also through `model.train()`.

        Args:
            names: of parameters of the backbone; where an update is attached to one, that is
                trained.
            batch_norm: what becomes of BatchNorm in the backbone, one of
                graftwork.models.batch_norm.MODES.
            head: whether the head is trained.
        """
        for name, parameter in self.named_parameters():
            wanted = plain_name(name) in names and (is_update(name) or not self._held)
            parameter.requires_grad_(wanted if name.startswith(BACKBONE) else head)
        norms = [*_batch_norms(self.backbone)]
        if not trains_affine(batch_norm):
            for module in norms:
                module.requires_grad_(False)
        still = [*self._frozen_modules(bool(names), head)]
        if not moves_statistics(batch_norm):  # also those without parameters
            still += norms
        self._still = tuple(still)
        self._following = tuple(norms) if batch_norm == "adapt" else ()
        self.train(self.training)

    def _frozen_modules(self, backbone: bool, head: bool) -> Iterator[nn.Module]:
        if not backbone:
            yield self.backbone
            yield self.pooling
        if not head:
            yield self.head
        for module in self.backbone.modules():
            parameters = list(module.parameters())
            if parameters and not any(p.requires_grad for p in parameters):
                yield module

    def train(self, mode: bool = True) -> Classifier:
        """Train mode for what is trained; frozen modules stay in eval mode, but for BatchNorm whose
        statistics follow the data."""
        super().train(mode)
        for module in self._still:
            module.eval()
        for module in self._following:
            module.training = mode  # it alone: what it holds may be a dropout
        return self


def _is_batch_norm(module: nn.Module) -> bool:
    return isinstance(module, BATCH_NORMS)


def _batch_norms(backbone: Backbone) -> Iterator[nn.Module]:
    yield from filter(_is_batch_norm, backbone.modules())


def pooling_of(backbone: Backbone, kind: str) -> Pooling:
    """The pooling that fits the layout of this backbone's feature maps."""
    return Pooling(
        kind,
        channels_last=getattr(backbone, "output_fmt", "NCHW") == "NHWC",
        prefix_tokens=getattr(backbone, "num_prefix_tokens", 0),
    )


def pooled(backbone: Backbone, pooling: Pooling, images: torch.Tensor) -> torch.Tensor:
    """`[B, C, S, S]` to `[B, num_features]`."""
    features = backbone.forward_features(images)
    if pooling.kind == "default":
        return backbone.forward_head(features, pre_logits=True)
    return pooling(features)


def unused_parameters(classifier: Classifier) -> frozenset[str]:
    """Parameters of the backbone that the chosen pooling leaves out.

    Some backbones have layers behind their own pooling (MobileNetV3's `conv_head`). Another
    pooling bypasses them; left among the trained ones they would stop a data-parallel run.
    """
    if classifier.pooling.kind == "default":
        return frozenset()
    spec, backbone = classifier.input_spec, classifier.backbone
    images = torch.zeros(1, spec.channels, spec.size, spec.size)
    was_training = backbone.training
    named = dict(backbone.named_parameters())
    with torch.enable_grad():
        output = pooled(backbone.eval(), classifier.pooling, images).sum()
        gradients = torch.autograd.grad(output, list(named.values()), allow_unused=True)
    backbone.train(was_training)
    return frozenset(n for n, g in zip(named, gradients, strict=True) if g is None)
