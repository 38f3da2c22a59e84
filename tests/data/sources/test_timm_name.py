from __future__ import annotations

from pathlib import Path

import pytest

from graftwork.config.errors import UserError
from graftwork.data.sources.timm_hub import TimmHub
from graftwork.models.timm_name import TimmName


def test_timm_says_where_its_weights_lie(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[TimmHub] = []

    def fetch(self: TimmHub, downloads: Path) -> Path:
        asked.append(self)
        return downloads / self.file

    monkeypatch.setattr(TimmHub, "fetch", fetch)
    path = TimmName("resnet18.a1_in1k").fetch(Path("downloads"))
    assert path == Path("downloads/model.safetensors")
    assert asked[0].repository == "timm/resnet18.a1_in1k"
    TimmName("resnet18").fetch(Path())
    assert asked[1].repository == asked[0].repository


def test_a_network_without_weights_is_refused_with_the_remedy() -> None:
    with pytest.raises(UserError, match="no weights for 'tiny_cnn'.*from_scratch"):
        TimmName("tiny_cnn").fetch(Path())


def test_it_is_told_apart_by_its_name() -> None:
    assert TimmName("resnet18").fingerprint == "timm:resnet18"
    assert "resnet18" in TimmName("resnet18").origin
