from __future__ import annotations

import pytest

from graftwork.recording.tracked_params import (
    MAX_KEY,
    flat,
    legal_key,
    nested_public,
    public,
    public_source,
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


@pytest.mark.parametrize(
    "line",
    [
        *("+password: CANARY", "+  API_KEY = 'CANARY'", '+"client_secret": "CANARY",'),
        *("+db_passwd=CANARY", "+x = 'AKIACANARYCANARYCANA'", "+token => CANARY"),
        *("+hub = hf_CANARYCANARYCANARYCANARY", "+url: https://u:CANARY@host/"),
        "+-----BEGIN RSA PRIVATE KEY-----\nCANARY\n-----END RSA PRIVATE KEY-----",
    ],
)
def test_sources_tell_no_secrets(line: str):
    assert "CANARY" not in public_source(f"-a = 1\n{line}\n+b = 2")
    assert public_source(f"-a = 1\n{line}\n+b = 2").startswith("-a = 1\n+")


def test_sources_keep_what_is_no_secret():
    code = "-x = 1\n+monkey = 2\n+keys = [1]\n+def key_of(path): return path"
    assert public_source(code) == code
