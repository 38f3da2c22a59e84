from __future__ import annotations

import pytest

from graftwork.recording.tracked_params import (
    MAX_KEY,
    flat,
    legal_key,
    nested_public,
    public,
    shortened,
)


def test_nested_values_become_dotted_text():
    params = {"seed": 3, "model": {"head": {"bias": True}, "sizes": [1, 2], "none": None, "e": {}}}
    assert flat(params) == {
        "seed": "3",
        "model.head.bias": "true",
        "model.sizes": "[1, 2]",
        "model.none": "null",
        "model.e": "{}",
    }
    assert flat({}) == {}


def test_secrets_are_left_out():
    params = {
        "api_token": "canary", "a": {"password": "canary", "credentials": {"x": "canary"}},
        "uri": "https://me:canary@host/x?access_token=canary&page=2", "list": [{"secret": 1}],
    }  # fmt: skip
    assert "canary" not in str(flat(params)) and "canary" not in str(nested_public(params))
    assert flat(params)["uri"] == "https://host/x?access_token=...&page=2"
    assert nested_public(params) == {"a": {}, "uri": flat(params)["uri"], "list": [{}]}
    assert public("git+ssh://me@host/a b://c@d") == "git+ssh://host/a b://d"


def test_long_values_stay_distinguishable():
    one, other = shortened("x" * 7000, 6000), shortened("x" * 7001, 6000)
    assert len(one) == len(other) == 6000 and one != other
    assert "7000 characters, sha256" in one and shortened("short", 6000) == "short"


@pytest.mark.parametrize(
    ("given", "legal"),
    [
        ("val/top1", "val/top1"),
        ("acc@1", "acc_1"),
        ("Grüße", "Gr__e"),
        ("../../etc/x", "etc/x"),
        ("/a//b/", "a/b"),
        ("", "_"),
    ],
)
def test_names_are_made_legal(given, legal):
    assert legal_key(given) == legal


def test_long_names_stay_distinguishable():
    one, other = legal_key("k" * 300 + "1"), legal_key("k" * 300 + "2")
    assert len(one) == MAX_KEY and one != other
