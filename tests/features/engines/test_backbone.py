from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from tiny_experiment import local_weights, tiny_experiment

from graftwork.config.errors import UserError
from graftwork.experiment import Experiment
from graftwork.features.engines import backbone
from graftwork.storage.artifacts import Artifacts


@pytest.fixture
def pretrained(
    tmp_path: Path, tiny_params: Callable[..., dict[str, Any]]
) -> tuple[Experiment, Artifacts]:
    from graftwork.models.backbones import register
    from graftwork.process.vision import timm

    register()
    torch.manual_seed(7)
    torch.save(timm.create_model("tiny_cnn").state_dict(), tmp_path / "w.pth")
    params = tiny_params("transfer=linear_probe")
    params["model"]["weights"] = local_weights(tmp_path / "w.pth")
    return tiny_experiment(params, tmp_path / "project")


def test_downloaded_weights_are_in_the_network(
    tmp_path: Path, pretrained: tuple[Experiment, Artifacts]
) -> None:
    found = backbone.build(*pretrained).backbone.state_dict()
    expected = torch.load(tmp_path / "w.pth", weights_only=True)
    assert all(torch.equal(found[name], expected[name]) for name in found)


def test_one_flipped_bit_is_noticed(pretrained: tuple[Experiment, Artifacts]) -> None:
    path = pretrained[1].weights("tiny_cnn") / "w.pth"
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.unlink()  # it may be a link to the user's own file
    path.write_bytes(content)
    with pytest.raises(UserError, match="has changed since its download: sha256"):
        backbone.build(*pretrained)


def test_weights_that_are_gone_are_asked_for(pretrained: tuple[Experiment, Artifacts]) -> None:
    (pretrained[1].weights("tiny_cnn") / "w.pth").unlink()
    with pytest.raises(UserError, match="no file is there"):
        backbone.build(*pretrained)
    (pretrained[1].weights("tiny_cnn") / "weights.json").unlink()
    with pytest.raises(UserError, match="Run the stage download"):
        backbone.build(*pretrained)


def test_the_seed_alone_decides_a_random_start(
    tmp_path: Path, tiny_params: Callable[..., dict[str, Any]]
) -> None:
    def weight(seed: int) -> torch.Tensor:
        params = tiny_params(f"seed={seed}")
        classifier = backbone.build(*tiny_experiment(params, tmp_path / "project"))
        return classifier.backbone.stem.conv.weight

    torch.manual_seed(5)
    state = torch.get_rng_state()
    first = weight(3)
    assert torch.equal(torch.get_rng_state(), state), "torch's own generator is left alone"
    torch.manual_seed(6)
    assert torch.equal(weight(3), first)
    assert not torch.equal(weight(4), first)
