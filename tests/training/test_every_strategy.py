"""Every named strategy on networks of ten families: trains, moves what it should, saves, predicts.

Strategies are found by their files. `make test` takes each of them once, and each family; all pairs
are slow.
"""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from conftest import CONF, composed
from test_conf import NEEDS
from tiny_experiment import tiny_experiment, usable
from tiny_transfer import draw_photos, save_weights, transfer_params
from torch import nn

from graftwork.config.components import build
from graftwork.data import manifest
from graftwork.experiment import Experiment
from graftwork.model_folder import contents as model_folder
from graftwork.model_folder.saving import save
from graftwork.models.heads import Linear
from graftwork.models.network.classifier import Classifier
from graftwork.models.timm_model import TimmModel
from graftwork.storage.artifacts import Artifacts
from graftwork.training.course import TrainingRows
from graftwork.training.fitting import train
from graftwork.training.history import History
from graftwork.training.movement import audited
from graftwork.transfer.strategy import Transfer
from graftwork.transfer.trainable_parameters import LaterLayers

Prepared = tuple[Experiment, Artifacts]
FAMILIES = {  # the smallest network of each, and its pooling
    "test_resnet": "default",
    "vgg11": "avg",
    "densenet121": "default",
    "googlenet": "default",
    "mobilenetv3_small_050": "default",
    "test_efficientnet": "default",
    "test_vit": "default",
    "test_convnext": "default",
    "regnetx_002": "default",
    "squeezenet1_1": "default",
}
SIZE = 32  # px
NORMS = (nn.BatchNorm2d, nn.LayerNorm, nn.GroupNorm)
MOST = 0.8  # of what is trained moves in two steps: behind a dead ReLU there is no gradient


def epochs_of(file: Path) -> int:
    """Of a strategy, its own or those of the one that it begins with; composing takes longer."""
    values = yaml.safe_load(file.read_text())
    if "epochs" in values:
        return int(values["epochs"])
    bases = (file.with_name(f"{base}.yaml") for base in values["defaults"] if type(base) is str)
    return next(epochs_of(base) for base in bases if base.is_file())


# These ask another network; tests/transfer/test_teachers.py has one for each.
ASK_ANOTHER = ("distil", "lwf", "co_tuning")
HOLD_ON = ("l2_sp", "delta")  # to what was learnt: as if from a file
# Heads on stored features train no network.
STRATEGIES = [
    file.stem
    for file in sorted(CONF.glob("transfer/*.yaml"))
    if file.stem not in ASK_ANOTHER and epochs_of(file)
]


@cache
def strategy(name: str) -> Transfer:
    """From random weights: the families have no others here."""
    needs = [line for line in NEEDS.get(name, []) if line.startswith("transfer.")]
    learnt = ["transfer/start=local_file", "transfer.start.path=weights.pth"]
    if name == "delta":  # a pass for each of hundreds of channels; test_penalties.py has few
        learnt.append("transfer.penalties.delta.attention=false")
    start = learnt if name in HOLD_ON else ["transfer/start=random"]
    values = composed(f"transfer={name}", *start, *needs)
    return build(values["transfer"], Transfer, "transfer")


def model(family: str) -> TimmModel:
    options = {"mlp_ratio": 0.01} if family == "vgg11" else {}  # its dense layers are enormous
    return TimmModel(
        name=family, architecture=family, options=options, pooling=FAMILIES[family],
        head=Linear(0.1), weights=None, input_size=SIZE, input_channels=None, auxiliary_weight=0.0,
        cut_after=None,
    )  # fmt: skip


@cache
def built(family: str) -> Classifier:
    torch.manual_seed(0)
    classifier = model(family).build(3, None).eval()
    for name, parameter in classifier.named_parameters():
        if not parameter.any() and not name.endswith("bias"):
            nn.init.ones_(parameter)  # a branch times zero, as many begin, gets no gradient
    return classifier


def cases() -> Iterator[Any]:
    families = list(FAMILIES)
    for at, name in enumerate(STRATEGIES):
        for number, family in enumerate(families):
            quick = number == at % len(families)
            yield pytest.param(name, family, marks=[pytest.mark.slow] * (not quick))


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Prepared:
    place = tmp_path_factory.mktemp("strategies")
    draw_photos(place / "photos")
    save_weights(place / "weights.pth")
    settings = ("trainer=smoke", "trainer.precision=fp32")
    values = transfer_params(place / "photos", place / "weights.pth", *settings)
    return tiny_experiment(values, place / "project")


@pytest.mark.parametrize(("name", "family"), [*cases()])
def test_it_trains_what_it_says_and_comes_back_from_its_folder(
    name: str, family: str, prepared: Prepared, tmp_path: Path
) -> None:
    classifier, transfer = copy.deepcopy(built(family)), strategy(name)
    experiment, artifacts = prepared
    experiment = dataclasses.replace(experiment, transfer=transfer, model=model(family))
    start = {name: tensor.clone() for name, tensor in classifier.state_dict().items()}
    rows = usable(artifacts)
    asks = transfer.trainable.needs_validation or transfer.schedule.needs_validation
    watched = {"val": manifest.of_split(rows, "val")} if asks else {}
    fit = manifest.of_split(rows, "train")
    fitted = TrainingRows(fit, watched)
    trained = train(experiment, artifacts, classifier, fitted, 3, History.unheard())
    assert trained.plan is not None
    audited(trained.plan, classifier, start)  # nothing else moved
    end = classifier.state_dict()
    check_moved({n for n, t in start.items() if not torch.equal(t, end[n])}, classifier, transfer)
    check_folder(classifier, experiment, tmp_path)


def check_moved(moved: set[str], classifier: Classifier, transfer: Transfer) -> None:
    """By a rule of this test's own for every kind of choice that this project has."""
    expected = intended(classifier, transfer)
    if expected is None or not transfer.adapter.is_none:
        return
    expected |= {"head.weight", "head.bias"}
    assert moved <= expected
    assert len(moved) >= MOST * len(expected), sorted(expected - moved)
    for group in classifier.layer_groups():
        assert bool(moved & set(group.parameters)) == bool(expected & set(group.parameters))


def intended(classifier: Classifier, transfer: Transfer) -> set[str] | None:
    """Parameters and buffers of the backbone that the first epoch moves; None: of a kind that this
    test does not know."""
    groups = [set(group.parameters) for group in classifier.layer_groups()[:-1]]
    everything, count, part = set().union(*groups), len(groups), transfer.trainable
    own = {
        "All": everything,
        "HeadOnly": set(),
        "LaterGroups": set().union(*groups[int(0.4 * count + 1e-9) :]),
        "LastGroups": groups[-1],
        "Blocks": groups[count // 2],
        "Gradual": set(),
        "OnPlateau": groups[-1],
        "BiasOnly": {name for name in everything if name.endswith("bias")},
        "NormOnly": {n for n in everything if isinstance(owner(classifier, n), NORMS)},
        "LaterLayers": after_the_first(classifier, part),
    }.get(type(part).__name__)
    if own is None:
        return None
    batch_norms = {n for n in everything if isinstance(owner(classifier, n), nn.BatchNorm2d)}
    if transfer.batch_norm in ("frozen", "adapt"):
        own = own - batch_norms
    follow = {"adapt": batch_norms, "trained": batch_norms & own}.get(transfer.batch_norm, set())
    modules = {name.rpartition(".")[0] for name in follow}
    kinds = ("running_mean", "running_var", "num_batches_tracked")
    return own | {f"{module}.{kind}" for module in modules for kind in kinds}


def owner(classifier: Classifier, name: str) -> nn.Module:
    return classifier.get_submodule(name.rpartition(".")[0])


def after_the_first(classifier: Classifier, part: Any) -> set[str]:
    """Parameters of a stretch of the forward pass that goes to its end."""
    if not isinstance(part, LaterLayers):
        return set()
    seen: list[str] = []
    hooks = [
        module.register_forward_pre_hook(lambda m, i, name=name: seen.append(name))
        for name, module in classifier.named_modules()
        if name.startswith("backbone.") and list(module.parameters(recurse=False))
    ]
    with torch.no_grad():
        classifier(torch.zeros(1, 3, SIZE, SIZE))
    for hook in hooks:
        hook.remove()
    trained = part.chosen(classifier.layout())
    first = min(seen.index(name.rpartition(".")[0]) for name in trained)
    assert 0.5 < first / len(seen) < 1
    later = set(seen[first:]) - set(seen[:first])
    own = {m: classifier.get_submodule(m).named_parameters(recurse=False) for m in later}
    return {f"{module}.{name}" for module, named in own.items() for name, _ in named}


def check_folder(classifier: Classifier, experiment: Experiment, folder: Path) -> None:
    """What is saved comes back bit for bit, and says the same."""
    save(
        folder, classifier, experiment=experiment, input_spec=classifier.input_spec,
        classes=["blue", "green", "red"], training={"epochs": 1}, pretrained=None, data_digest="",
    )  # fmt: skip
    loaded, _ = model_folder.load(folder)
    ours, theirs = classifier.state_dict(), loaded.state_dict()
    assert ours.keys() == theirs.keys()
    assert all(torch.equal(tensor, theirs[name]) for name, tensor in ours.items())
    images = torch.randint(0, 256, (2, SIZE, SIZE, 3), dtype=torch.uint8)
    with torch.no_grad():
        said = [one.eval()(one.normalise(images)).softmax(1) for one in (classifier, loaded)]
    assert torch.equal(*said) and torch.allclose(said[0].sum(1), torch.ones(2))
