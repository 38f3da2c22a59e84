"""Changes of model.json that a model folder from anybody may hold."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from attacks.attack import COMMAND

Values = dict[str, Any]


@dataclass(frozen=True)
class Change:
    """What becomes of a contract that was right, or of its text."""

    name: str
    make: Callable[[Values], Values | str]
    said: str  # of the refusal, a regular expression


def architecture(**changes: Any) -> Callable[[Values], Values]:
    return lambda values: {**values, "architecture": {**values["architecture"], **changes}}


def within(part: str, **changes: Any) -> Callable[[Values], Values]:
    return lambda values: {**values, part: {**values[part], **changes}}


def timm(name: str, **options: Any) -> Callable[[Values], Values]:
    return architecture(architecture=name, options=options)


def written(text: str) -> Callable[[Mapping[str, Any]], str]:
    return lambda values: text


BUILT = "no network can be built from it"
LARGER = "larger than the weights beside it"
MLP = {"_target_": "graftwork.models.heads.Mlp", "dropout": 0.0, "init_std": 0.01}
CONTRACTS = [
    Change("deeper than a parser goes", written("[" * 100_000), "is damaged"),
    Change(
        "a number of a million digits", written('{"format": ' + "9" * 10**6 + "}"), "is damaged"
    ),
    Change("no number", written('{"format": NaN}'), "format nan|is damaged"),
    Change("no JSON", written("__import__('os')"), "is damaged"),
    Change("six million layers", timm("vit_tiny_patch16_224", depth=6_000_002), "6000002: larger"),
    Change("pictures of 10^30 px", architecture(input_size=10**30), "0: larger than any"),
    Change("six million of ours", timm("cifar_resnet", depth=6_000_002), "6000002: larger"),
    Change("a million blocks", timm("resnet18", layers=[10**6, 2, 2, 2]), "1000000: larger"),
    Change("three hundred layers", timm("vit_tiny_patch16_224", depth=300), LARGER),
    Change("blocks likewise", timm("resnet18", layers=[400, 2, 2, 2]), LARGER),
    Change(
        "a layer of terabytes", timm("vit_tiny_patch16_224", embed_dim=65_535), LARGER + "|memory"
    ),
    Change("a layer of its own", architecture(head={**MLP, "hidden": 65_536}), "do not fit"),
    Change("a hundred thousand classes", lambda v: {**v, "classes": ["x"] * 10**5}, "do not fit"),
    Change(
        "a shell",
        architecture(_target_="os.system", command=COMMAND),
        "architecture._target_: 'os.system' is unknown",
    ),
    Change("a shell as head", architecture(head={"_target_": "os.system"}), "os.system"),
    Change("eval", architecture(_target_="builtins.eval"), "builtins.eval"),
    Change("torch.load", architecture(_target_="torch.load"), "torch.load"),
    Change("a file as an option", timm("resnet18", checkpoint_path="/tmp/w.pth"), BUILT),
    Change("a call", timm("resnet18", block={"_target_": "os.system"}), BUILT),
    Change("a variable", timm("resnet18", act="${oc.env:HOME}"), "plain values"),
    Change("a variable as a key", timm("resnet18", **{"${oc.env:HOME}": 1}), "plain values"),
    Change("code from a hub", timm("hf-hub:evil/model"), BUILT),
    Change("a local folder", timm("local-dir:/tmp"), BUILT),
    Change("a path", timm("../../../etc/passwd"), BUILT),
    Change("pictures of 10^12 px", within("input_spec", size=10**12), "the network wants"),
    Change("no pictures", within("input_spec", size=-1), "input_spec.size"),
    Change("infinite", within("input_spec", crop_pct=float("inf")), "input_spec.crop_pct"),
    Change("weights elsewhere", within("weights_sha256", **{"head.safetensors": "../x"}), "sha256"),
    Change("another format", lambda v: {**v, "format": 10**30}, "this graftwork reads"),
]
