from __future__ import annotations

import subprocess
import sys

import pytest
from conftest import CONF, composed

from graftwork.config.components import build
from graftwork.config.errors import UserError
from graftwork.models.base import Model
from graftwork.profiling import chosen
from graftwork.settings.trainer import Trainer
from graftwork.transfer.strategy import Transfer


def test_a_word_means_what_it_means_to_the_pipelines():
    def built(kind, key, *overrides):
        return build(composed(*overrides)[key], kind, key)

    wanted = built(Model, "model", "model=mobilenetv2")
    assert chosen.model_of("mobilenetv2", conf=CONF) == wanted
    assert chosen.transfer_of(conf=CONF) == built(Transfer, "transfer")
    assert chosen.trainer_of(conf=CONF) == built(Trainer, "trainer")
    overrides = ["transfer=fine_tune", "transfer.epochs=3"]
    assert chosen.transfer_of("fine_tune", overrides[1:], CONF) == built(
        Transfer, "transfer", *overrides
    )


def test_any_name_of_timm():
    model = chosen.model_of("convnext_tiny.fb_in1k", conf=CONF)
    assert (model.name, model.weights is None) == ("convnext_tiny.fb_in1k", False)


def test_overrides_reach_the_model():
    assert chosen.model_of("tiny_cnn", ["model.pooling=max"], CONF).pooling == "max"


@pytest.mark.parametrize(
    ("word", "nearest"), [("resnt50", "resnet50"), ("efficientnet_lit0", "efficientnet_lite0")]
)
def test_a_wrong_model(word, nearest):
    with pytest.raises(UserError, match=f"'{word}' is unknown. Did you mean '{nearest}'"):
        chosen.model_of(word, conf=CONF)


def test_a_wrong_strategy_lists_the_right_ones():
    with pytest.raises(UserError, match="Did you mean 'linear_probe'.*from_scratch"):
        chosen.transfer_of("linear_prob", conf=CONF)


def test_a_wrong_override_is_one_line():
    with pytest.raises(UserError, match="model.poling") as error:
        chosen.model_of("tiny_cnn", ["model.poling=max"], CONF)
    assert "\n" not in str(error.value)


def test_elsewhere(tmp_path):
    with pytest.raises(UserError, match="Run this in the project's folder"):
        chosen.model_of("resnet50", conf=tmp_path)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["resnt50"], "Did you mean 'resnet50'"),
        (["resnet50", "alexnt"], "Did you mean 'alexnet'"),
        (["resnet50", "--transfer", "lpft"], "Did you mean 'lp_ft'"),
        (["resnet50", "--precision", "fp64"], "Legal: bf16, fp32, auto"),
        (["resnet50", "--size", "4"], "Legal: >= 8"),
    ],
)
def test_a_mistake_is_refused_before_anything_is_imported(arguments, message):
    code = """
import sys
from graftwork.cli import commands as cli
try:
    cli.main()
finally:
    assert not {"torch", "timm", "hydra", "pandas", "mlflow"} & set(sys.modules)
"""
    command = [sys.executable, "-c", code, "profile", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, cwd=CONF.parent)
    assert done.returncode == 2
    assert done.stderr.startswith("graftwork: ") and message in done.stderr
    assert "Traceback" not in done.stderr
