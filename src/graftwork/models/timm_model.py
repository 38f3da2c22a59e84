"""Any network that timm can build, this project's own backbones among them."""

from __future__ import annotations

import copy
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from graftwork.config.errors import UserError, nearest_first, unknown
from graftwork.models.auxiliary_places import check_auxiliary
from graftwork.models.base import MAPS, InputSpec, Model, WeightsFile
from graftwork.models.input_channels import levels
from graftwork.models.input_size import REFUSALS, nearest_sizes, out_of_memory, width_of
from graftwork.models.versions import version_of
from graftwork.models.weights import load_weights

if TYPE_CHECKING:
    from graftwork.models.network.classifier import Classifier
    from graftwork.models.network.layer_groups import Backbone

# Options with which timm reads files or the network, or returns something else than a classifier;
# and whatever else begins with "pretrained": weights come from model.weights alone.
REFUSED_OPTIONS = ("checkpoint_path", "cache_dir", "features_only", "feature_cfg", "pruned")

OWN = Path(__file__).parent / "backbones"
_REGISTERED = re.compile(r"^@register_model\s+def (\w+)\(", re.MULTILINE)


@dataclass(frozen=True)
class TimmModel(Model):
    """A backbone by timm's name for it, `architecture` or `architecture.tag`."""

    architecture: str
    options: dict[str, Any]  # further arguments of the backbone, such as depth or width

    def __post_init__(self) -> None:
        super().__post_init__()
        _check_options(self.options)
        architecture = self.architecture.split(".")[0]
        if not is_registered(architecture):
            raise unknown_architecture(self.architecture)
        check_auxiliary(architecture, self.auxiliary_weight, self.options)

    @property
    def version(self) -> str:
        # timm's own networks change with timm, whose version is part of every key.
        return own_versions().get(self.architecture.split(".")[0], "timm")

    def build(self, num_classes: int, weights: WeightsFile | None) -> Classifier:
        """The network, in fp32, channels_last and train mode.

        Random parts come from torch's global generator: seed it first.

        Raises:
            UserError: an unknown tag; weights that do not fit; an input size it cannot take.
        """
        from graftwork.models.network.classifier import Classifier

        backbone = self._backbone(weights)
        input_spec = self._input_spec(backbone)
        backbone.reset_classifier(0)
        num_features = self._fit_to(backbone, input_spec)
        if self.cut_after is not None or self.head.reads_maps:
            return self._from_maps(backbone, input_spec, num_classes)
        head = self.head.build(num_features, num_classes)
        return Classifier(backbone, self.pooling, head, input_spec, num_features)

    def _from_maps(self, backbone: Backbone, spec: InputSpec, num_classes: int) -> Classifier:
        """Of a network that ends early, or whose head reads maps."""
        from graftwork.models.network.classifier import Classifier
        from graftwork.models.network.cutting import cut

        if self.cut_after is not None:
            backbone = cut(backbone, self.cut_after)
        pooling = MAPS if self.head.reads_maps else self.pooling
        num_features = width_of(backbone, pooling, spec)
        head = self.head.build(num_features, num_classes)
        return Classifier(backbone, pooling, head, spec, num_features)

    def pretrained_whole(self, weights: WeightsFile) -> Classifier:
        from graftwork.models.network.classifier import Classifier
        from graftwork.models.source_head import check_reads_features, no_head, source_head

        if self.cut_after is not None or self.head.reads_maps:
            what = "holds a classifier that reads the whole network, but this one ends early"
            raise no_head(weights, what, "model.cut_after=null, model/head=linear")
        backbone = self._backbone(weights)
        head, whole = source_head(backbone, weights), copy.deepcopy(backbone)
        input_spec = self._input_spec(backbone)
        backbone.reset_classifier(0)
        num_features = self._fit_to(backbone, input_spec)
        network = Classifier(backbone, self.pooling, head, input_spec, num_features)
        check_reads_features(whole, network, weights)
        return network

    def _backbone(self, weights: WeightsFile | None) -> Backbone:
        """With the classifier it was pretrained with, so that loading can be strict."""
        from graftwork.models.backbones import register
        from graftwork.process.vision import timm

        register()
        try:
            backbone = timm.create_model(self.architecture, pretrained=False, **self._arguments())
        except RuntimeError as error:
            if "tag" not in str(error):
                raise
            tags = timm.list_models(f"{self.architecture.split('.')[0]}.*", pretrained=True)
            raise unknown("model.architecture", self.architecture, tags) from error
        except TypeError as error:
            if not self.options:
                raise
            raise UserError(
                f"model.options: {self.architecture} cannot be built with {self.options}: {error}."
            ) from error
        if weights is not None:
            load_weights(backbone, weights.path, weights.key_map, key=weights.key)
        return backbone

    def _arguments(self) -> dict[str, Any]:
        channels = {} if self.input_channels is None else {"in_chans": self.input_channels}
        return {**self.options, **channels}

    def _input_spec(self, backbone: Backbone) -> InputSpec:
        from timm.data.config import resolve_model_data_config

        config = resolve_model_data_config(backbone)
        channels = self.input_channels or config["input_size"][0]
        return InputSpec(
            size=self.input_size or config["input_size"][-1],
            mean=levels(config["mean"], channels),
            std=levels(config["std"], channels),
            interpolation=config["interpolation"],
            crop_pct=config["crop_pct"],
        )

    def _fit_to(self, backbone: Backbone, spec: InputSpec) -> int:
        """Fits the backbone to the input size and returns its number of features."""
        try:
            return width_of(backbone, self.pooling, spec)
        except (*REFUSALS, MemoryError) as error:
            if out_of_memory(error):
                raise self._no_room(spec) from error
            if self.input_size is None:
                raise
            raise self._size_refused(spec, str(error).rstrip(".")) from error

    def _no_room(self, spec: InputSpec) -> UserError:
        return UserError(
            f"model.input_size: not enough memory for one picture of {spec.size} px through "
            f"{self.architecture}. Choose a smaller size, or leave it null for the size it was "
            "trained at."
        )

    def _size_refused(self, spec: InputSpec, reason: str) -> UserError:
        def make() -> Backbone:
            backbone = self._backbone(None)
            backbone.reset_classifier(0)
            return backbone

        sizes = nearest_sizes(make, self.pooling, spec)
        return UserError(
            f"model.input_size: {self.architecture} cannot take {spec.size} px ({reason}). "
            f"Nearest that it takes: {' and '.join(map(str, sizes))}. "
            "Leave it null for the size it was trained at."
        )


def _check_options(options: dict[str, Any]) -> None:
    for name in map(str, options):
        if name in REFUSED_OPTIONS or name.startswith("pretrained"):
            raise UserError(
                f"options.{name}: is no property of a network. Leave it out; pretrained weights "
                "are chosen by model.weights."
            )


# Names, without importing torch or timm: a misspelt one must be refused in a blink.
def unknown_architecture(name: str) -> UserError:
    """The error for a name that nothing registers, with the nearest ones."""
    names = registered()
    nearest = nearest_first(name, names)[:10]
    return UserError(
        f"architecture: '{name}' is unknown. Did you mean '{nearest[0]}'? "
        f"Nearest of {len(names)}: {', '.join(nearest)}."
    )


def is_registered(name: str) -> bool:
    """Whether timm, or a backbone of this project, goes by this name."""
    return name in registered()


@cache
def registered() -> frozenset[str]:
    """Every architecture that can be named, read from the sources that register them."""
    spec = find_spec("timm")
    assert spec is not None and spec.origin, "timm is a dependency of this package"
    timms = Path(spec.origin).parent / "models"
    return frozenset(own_versions()).union(*(_REGISTERED.findall(text) for text in _sources(timms)))


@cache
def own_versions() -> dict[str, str]:
    """This project's own architectures, each with the version of the file that registers it."""
    found: dict[str, str] = {}
    for text in _sources(OWN):
        if names := _REGISTERED.findall(text):
            found |= dict.fromkeys(names, version_of(text))
    return found


def _sources(folder: Path) -> Iterator[str]:
    for path in sorted(folder.glob("*.py")):
        yield path.read_text(encoding="utf-8")
