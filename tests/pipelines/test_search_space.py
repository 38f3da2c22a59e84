from __future__ import annotations

from pathlib import Path

import pytest
from optuna.trial import FixedTrial

from graftwork.config.errors import UserError
from pipelines.search_space import Space

TEXT = """
model: [resnet18, mobilenetv2]
transfer: [linear_probe, lp_ft]
transfer.epochs: {low: 2, high: 12, when: {transfer: lp_ft}}
transfer.rates.step: {low: 0.001, high: 0.1, log: true, when: {transfer: [lp_ft]}}
model.options: {values: [null, {depth: 20}, true], when: {model: resnet18, transfer: lp_ft}}
"""


@pytest.fixture
def path(tmp_path: Path) -> str:
    (tmp_path / "space.yaml").write_text(TEXT)
    return str(tmp_path / "space.yaml")


def test_a_key_counts_under_the_values_that_it_names(path: str) -> None:
    space = Space.of(path, {"seed": ["0", "1"]})
    alone = {"seed": "1", "model": "mobilenetv2", "transfer": "linear_probe"}
    assert space.suggested(FixedTrial(alone)) == [f"{key}={alone[key]}" for key in alone]
    trained = {"transfer.epochs": 3, "transfer.rates.step": 0.0123456}
    found = space.suggested(FixedTrial({**alone, "transfer": "lp_ft", **trained}))
    assert found[2:] == ["transfer=lp_ft", "transfer.epochs=3", "transfer.rates.step=0.0123"]


def test_every_value_is_in_an_example_under_which_it_counts(path: str) -> None:
    space = Space.of(path, {})
    examples = list(space.examples())
    said = {line for example in examples for line in example}
    assert said == {f"{each.key}={end}" for each in space.dimensions for end in each.ends}
    assert {"model.options=null", 'model.options={"depth": 20}', "transfer.epochs=12"} <= said
    for example in examples:
        assert any("epochs" in line for line in example) == ("transfer=lp_ft" in example)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[]", "no search space"),
        ("a: []", "a: neither a list of values nor a range"),
        ("a: {low: 1}", "a: neither a list"),
        ("a: {low: 1e-4, high: 0.1}", "1e-4 is text in YAML"),
        ("a: {low: 2, high: 1}", "from 2 to 1 is no range"),
        ("a: {low: 0, high: 1, log: true}", "low 0 with log"),
        ("a: {low: 0, hgih: 1}", "'hgih' is unknown. Did you mean 'high'"),
        ("a: {values: [1], when: {b: 1}}", "a.when: a key above it: 'b' is unknown"),
        ("a: [1]\nb: {values: [1], when: {aa: 1}}", "Did you mean 'a'"),
        ("seed: [1]", "seed is on the command line, too"),
        ("a: [1", "cannot be read"),
    ],
)
def test_what_is_no_space_is_refused(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "space.yaml"
    path.write_text(text)
    with pytest.raises(UserError) as told:
        Space.of(str(path), {"seed": ["1", "2"]})
    assert message in str(told.value)
    with pytest.raises(UserError, match="nothing to choose"):
        Space.of(None, {})
