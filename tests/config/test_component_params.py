from __future__ import annotations

from collections.abc import Callable
from typing import Any

from graftwork.config.component_params import params_of
from graftwork.config.components import build
from graftwork.experiment import Experiment


def test_params_build_an_equal_component(tiny_params: Callable[..., dict[str, Any]]) -> None:
    experiment = Experiment.from_params(tiny_params("model/head=mlp"))
    params = params_of(experiment)
    assert params.pop("_target_") == "graftwork.experiment.Experiment"
    assert params["model"]["head"]["_target_"] == "graftwork.models.heads.Mlp"
    assert build(params, Experiment, "") == experiment
