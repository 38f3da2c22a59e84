from __future__ import annotations

from dataclasses import dataclass
from importlib.metadata import EntryPoint

import pytest

from attacks.configurations import GADGETS
from graftwork.config import components
from graftwork.config.components import Component, build
from graftwork.config.errors import UserError
from graftwork.data.datasets.base import Dataset, Splits
from graftwork.metrics.base import Metric
from graftwork.settings.extraction import Extraction
from graftwork.settings.trainer import Trainer

SPLITS = {"val_fraction": 0.1, "test_fraction": 0.2, "seed": 0, "train_per_class": None}
TRAINER = {
    "name": "t", "batch_size": 4, "accumulate": 1, "compile": "off", "rates_batch": 4,
    "precision": "fp32", "gradient_clip": 1.0, "processes": 1, "sharded": False,
    "accelerator": "cpu", "workers": 0, "loader_timeout": 0, "group_timeout": 9,
    "clip_by": "norm", "refit": "auto", "refit_below": 500,
    "refit_epochs": 1, "refit_rate": 0.5,
    "patience": 0,
    "watch_test": False, "limit_epochs": None, "limit_batches": 2,
    "on_divergence": "stop", "loss_spike": None,
    "checkpoint_minutes": 5, "checkpoint_steps": None, "resume": "auto",
}  # fmt: skip


def test_builds_a_typed_component():
    splits = build(SPLITS, Splits, "dataset.splits")
    assert splits == Splits(**SPLITS)


def test_whole_numbers_become_numbers_but_not_the_reverse():
    assert build({**SPLITS, "val_fraction": 0}, Splits, "s").val_fraction == 0.0
    with pytest.raises(UserError, match="s.seed: 0.5 has the wrong type. Legal: a whole number"):
        build({**SPLITS, "seed": 0.5}, Splits, "s")


def test_misspelt_key_names_the_nearest_first():
    with pytest.raises(UserError, match=r"s\.val_fracton: .*Did you mean 'val_fraction'\?"):
        build({**SPLITS, "val_fracton": 0.1}, Splits, "s")


@pytest.mark.parametrize("missing", [{}, {"seed": "???"}])
def test_missing_key_says_how_to_set_it(missing):
    values = {k: v for k, v in SPLITS.items() if k != "seed"} | missing
    with pytest.raises(UserError, match=r"s\.seed: no value. Set it: s\.seed=\.\.\."):
        build(values, Splits, "s")


@pytest.mark.parametrize(
    ("key", "value"),
    [("batch_size", "many"), ("batch_size", True), ("gradient_clip", "x"), ("precision", [1])],
)
def test_wrong_types_are_refused(key, value):
    with pytest.raises(UserError, match=f"trainer.{key}: .* has the wrong type"):
        build({**TRAINER, key: value}, Trainer, "trainer")


@dataclass(frozen=True)
class Lists(Component):
    shares: list[float]
    scale: list[float] | None


@dataclass(frozen=True)
class Named(Component):
    shares: list[float]
    names: dict[str, str]


@pytest.mark.parametrize("value", [[[0.5]], [{}], [1.0, []]])
@pytest.mark.parametrize("key", ["shares", "scale"])
def test_lists_of_numbers_hold_numbers(key, value):
    assert build({"shares": [0, 1], "scale": None}, Lists, "s") == Lists([0.0, 1.0], None)
    with pytest.raises(UserError, match=f"s.{key}: .* has the wrong type. Legal: a list"):
        build({"shares": [], "scale": [], key: value}, Lists, "s")


def test_lists_and_names_are_the_components_own_and_of_the_wanted_type():
    given: dict = {"shares": [0.5, 1], "names": {"a": "b"}}
    found = build(given, Named, "set")
    assert found == Named([0.5, 1.0], {"a": "b"})
    assert [type(each) for each in found.shares] == [float, float]
    given["shares"].append(2.0), given["names"].update(c="d")
    assert found == Named([0.5, 1.0], {"a": "b"})
    for wrong in ({"names": ["a"]}, {"names": "a"}, {"shares": {"a": 0.5}}):
        with pytest.raises(UserError, match="set.(names|shares): .* wrong type"):
            build({**given, **wrong}, Named, "set")


def test_optional_takes_null_and_others_do_not():
    assert build(TRAINER, Trainer, "t").limit_epochs is None
    with pytest.raises(UserError, match="t.batch_size"):
        build({**TRAINER, "batch_size": None}, Trainer, "t")


def test_bounds_name_the_full_path():
    with pytest.raises(UserError, match=r"^dataset\.splits\.val_fraction: 2\.0 is out of bounds"):
        build({**SPLITS, "val_fraction": 2}, Splits, "dataset.splits")


@pytest.mark.parametrize("target", GADGETS)
def test_a_target_that_is_no_component_of_the_kind_is_refused(target):
    with pytest.raises(UserError, match="_target_"):
        build({"_target_": target}, Metric, "evaluation.metrics.top1")


def test_an_abstract_kind_asks_for_its_target():
    with pytest.raises(UserError, match=r"dataset\._target_: no value. Legal: graftwork"):
        build({"name": "x"}, Dataset, "dataset")


def test_a_mapping_is_expected():
    with pytest.raises(UserError, match="extraction: expected a group of keys, got 'fast'"):
        build("fast", Extraction, "extraction")


@dataclass(frozen=True)
class Pair(Splits):
    """Nested components in every container that a field can have."""

    inner: Splits
    perhaps: Splits | None
    several: list[Splits]
    named: dict[str, Splits]


def pair(**changes):
    whole = {"inner": SPLITS, "perhaps": None, "several": [SPLITS], "named": {"a": SPLITS}}
    return build({**SPLITS, **whole, **changes}, Pair, "pair")


def test_nested_components_are_built():
    built = pair(perhaps=SPLITS)
    assert built.inner == built.perhaps == built.several[0] == built.named["a"]


def test_null_takes_a_named_component_away():
    assert pair(named={"a": None}).named == {}


@pytest.mark.parametrize(
    ("change", "place"),
    [
        ({"inner": {**SPLITS, "seeed": 1}}, r"pair\.inner\.seeed"),
        ({"several": [{**SPLITS, "seed": "x"}]}, r"pair\.several\[0\]\.seed"),
        ({"named": {"a": {**SPLITS, "val_fraction": -1}}}, r"pair\.named\.a\.val_fraction"),
        ({"several": SPLITS}, "pair.several: expected a list"),
        ({"named": [SPLITS]}, "pair.named: expected named components"),
    ],
)
def test_errors_name_the_nested_place(change, place):
    with pytest.raises(UserError, match=place):
        pair(**change)


def test_a_package_that_declares_itself_brings_components(tmp_path, monkeypatch):
    (tmp_path / "guest.py").write_text(
        "from dataclasses import dataclass\n"
        "from graftwork.data.datasets.base import Splits\n"
        "@dataclass(frozen=True)\n"
        "class Halves(Splits):\n"
        "    pass\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(UserError, match="guest.Halves"):
        build({**SPLITS, "_target_": "guest.Halves"}, Splits, "s")
    declared = EntryPoint("guest", "guest", "graftwork.config.components")
    monkeypatch.setattr(components, "entry_points", lambda group: [declared])
    components._packages.cache_clear()
    try:
        assert build({**SPLITS, "_target_": "guest.Halves"}, Splits, "s").seed == 0
    finally:
        components._packages.cache_clear()
