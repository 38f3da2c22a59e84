"""Networks that end early, and the small one that is trained on their maps."""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from conftest import composed
from small_network import network
from tiny_experiment import tiny_experiment, usable

from graftwork.config.errors import UserError
from graftwork.experiment import Experiment
from graftwork.features.engines.keys import network_key
from graftwork.features.feature_store import features_of
from graftwork.model_folder import contents as model_folder
from graftwork.models.heads import SmallConv
from graftwork.models.network.classifier import Classifier
from graftwork.models.network.cutting import cut
from graftwork.models.network.pooling import Pooling
from graftwork.profiling.profile import static_profile
from graftwork.serving.predictor import Predictor
from graftwork.storage.artifacts import Artifacts

Params = Callable[..., dict[str, Any]]


def maps_after(whole: Classifier, module: str, images: torch.Tensor) -> torch.Tensor:
    """What this module of the backbone gives."""
    seen = []
    hook = whole.backbone.get_submodule(module).register_forward_hook(
        lambda *given: seen.append(given[2])
    )
    with torch.no_grad():
        whole.features(images)
    hook.remove()
    return seen[0]


@pytest.mark.parametrize(
    ("name", "last", "options"),
    [
        ("test_resnet", "layer2", {}),
        ("mobilenetv3_small_050", "blocks.2", {}),
        ("densenet121", "features.denseblock1", {"growth_rate": 4, "block_config": (2, 2)}),
        ("googlenet", "inception4a", {}),
        ("test_vit", "blocks.1", {"dynamic_img_size": False}),
    ],
)
def test_what_is_left_computes_what_it_did(name: str, last: str, options: dict[str, Any]) -> None:
    whole = network(name, 32, **options)
    images = torch.randn(2, 3, 32, 32)
    place = {"features.denseblock1": "features.transition1"}.get(last, last)
    expected = maps_after(whole, place, images)
    names = [group.name for group in whole.layer_groups()[:-1]]
    tensors = set(whole.backbone.state_dict())
    short = cut(whole.backbone, last).eval()
    with torch.no_grad():
        assert torch.equal(short.forward_features(images), expected)
        assert torch.equal(copy.deepcopy(short).forward_features(images), expected)
    kept = set(short.state_dict())
    assert kept < tensors, "under the names that they had"
    spec = whole.input_spec
    again = Classifier(short, "avg", torch.nn.Identity(), spec, expected.shape[1])
    assert [group.name for group in again.layer_groups()[:-1]] == names[: names.index(last) + 1]
    assert again.backbone.no_weight_decay() <= kept


def small(**changes: Any) -> Any:
    """tiny_cnn that ends behind its first stage, with a small network on its maps."""
    from graftwork.config.components import build
    from graftwork.models.base import Model

    values = composed("model=tiny_cnn", "model.cut_after=2")["model"]
    model: Any = build(values, Model, "model")  # type: ignore[type-abstract]
    return dataclasses.replace(model, head=SmallConv(8, 0.0, 0.1), **changes)


def test_a_head_on_maps_sees_every_position() -> None:
    torch.manual_seed(0)
    made = small().build(3, None).eval()
    assert made.num_features == 32
    images = torch.randn(2, 3, 32, 32)
    assert made.features(images).shape == (2, 32, 8, 8)
    assert torch.equal(made.vectors(images), made.features(images).mean((2, 3)))
    assert made(images).shape == (2, 3)
    assert [type(layer).__name__ for layer in made.head] == [
        *("Conv2d", "BatchNorm2d", "ReLU") * 2, "AdaptiveAvgPool2d", "Flatten", "Dropout", "Linear",
    ]  # fmt: skip
    made.freeze([False, False], "frozen")
    made.train()
    assert made.head.norm1.training and not made.backbone.stem.bn.training


def test_tokens_become_the_square_that_they_were_cut_from() -> None:
    tokens = torch.arange(2 * 5 * 3.0).view(2, 5, 3)
    found = Pooling("maps", prefix_tokens=1)(tokens)
    assert found.shape == (2, 3, 2, 2)
    assert torch.equal(found[0, :, 1, 0], tokens[0, 3]), "row by row, the class token left out"
    nhwc = torch.rand(2, 4, 5, 3)
    assert torch.equal(Pooling("maps", channels_last=True)(nhwc)[1, 2], nhwc[1, :, :, 2])
    with pytest.raises(UserError, match="this backbone gives none"):
        Pooling("maps")(torch.rand(2, 3))


@pytest.mark.parametrize(
    ("last", "said"),
    [
        ("stages.9", "model.cut_after: 'stages.9' is unknown. Did you mean 'stages."),
        ("0", "model.cut_after: 0 is out of bounds. Legal: 1 to 3"),
        ("4", "model.cut_after: 4 is out of bounds. Legal: 1 to 3"),
    ],
)
def test_a_group_that_is_not_there_is_refused(last: str, said: str) -> None:
    with pytest.raises(UserError, match=said):
        small(cut_after=last).build(3, None)


def test_whole_networks_have_the_keys_that_they_had(tiny_params: Params, tmp_path: Path) -> None:
    def key(*overrides: str) -> str:
        experiment = Experiment.from_params(tiny_params("extraction.batch_size=5", *overrides))
        return network_key(experiment, Artifacts.at(tmp_path))

    assert len({key(), key("model.cut_after=2"), key("model.cut_after=1")}) == 3
    assert key("model/head=mlp") == key() != key("model/head=small_conv")


def test_a_strategy_of_early_layers_from_training_to_prediction(
    tiny_params: Params, tmp_path: Path
) -> None:
    """Trained on stored maps; the model folder is all that prediction needs."""
    from pipelines import finetune

    params = tiny_params(
        "transfer=early_layers_custom_top", "transfer/start=random", "model.cut_after=stages.0",
        "model.head.width=8", "extraction.views=2", "augmentation=light", "trainer=default",
        "transfer.epochs=4", "transfer.least_steps=0", "tracking.log_model=false",
    )  # fmt: skip
    experiment, artifacts = tiny_experiment(params, tmp_path / "project")
    finetune.run(experiment, artifacts)
    assert list(artifacts.prefixes.glob("*/*.bin")), "maps were stored"
    classifier, contract = model_folder.load(artifacts.model)
    assert contract.architecture["cut_after"] == "stages.0"
    assert {name.split(".")[0] for name in classifier.backbone.state_dict()} == {"stem", "stages"}
    photo = next((tmp_path / "photos" / "test" / "red").glob("*.jpg")).read_bytes()
    chances = Predictor(artifacts.model).probabilities([photo])
    assert chances.shape == (1, 3) and chances.sum() == pytest.approx(1)
    vectors = features_of(experiment, artifacts, usable(artifacts)[:3])
    assert vectors.shape == (3, 32) and np.isfinite(vectors).all(), "for what compares pictures"
    whole = static_profile(dataclasses.replace(experiment.model, cut_after=None), 3)
    part = static_profile(experiment.model, 3)
    assert part.layers and len(part.layers) < len(whole.layers) + 6
