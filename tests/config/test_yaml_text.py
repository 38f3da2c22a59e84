from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from graftwork.config.yaml_text import LOADER, from_yaml

PARAMS = Path(__file__).parents[2] / "params.yaml"
ODD = "a: [1, 1e-5, 1.0e-5, yes, null, ~]\nb: 'é 🍐'\nc: {d: 2020-01-01, e: 0x1f}\nf: |\n  g\n"


@pytest.mark.parametrize("text", [PARAMS.read_text("utf-8"), ODD, ""], ids=["params", "odd", "no"])
def test_reads_what_the_slow_loader_reads(text):
    assert from_yaml(text) == yaml.safe_load(text)


@pytest.mark.parametrize("text", ["a: [1", "a: !!python/name:os.system ''", "a: \0"])
def test_what_is_no_plain_yaml_is_refused(text):
    with pytest.raises(yaml.YAMLError):
        from_yaml(text)


def test_the_quick_loader_is_used_where_it_is_there():
    assert LOADER is (yaml.CSafeLoader if yaml.__with_libyaml__ else yaml.SafeLoader)
