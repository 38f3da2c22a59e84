"""What of a configuration may be told to the tracking store, and in which shape."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

MAX_VALUE = 6000  # characters of a param's value (MLflow 3)
MAX_TAG = 8000  # characters of a tag's value
MAX_KEY = 250  # characters of any key

SECRET = re.compile(r"token|secret|password|passwd|credential|api_?key", re.IGNORECASE)
_USER_IN_URI = re.compile(r"(?<=://)[^/@\s]+@")
_SECRET_IN_QUERY = re.compile(rf"([?&][^=&\s]*(?:{SECRET.pattern})[^=&\s]*=)[^&\s]+", re.IGNORECASE)
_NAMED = rf"[\w\-]*(?:{SECRET.pattern})[\w\-]*"
_ASSIGNED = re.compile(rf"({_NAMED}[\"']?\s*[:=]+>?\s*)[^\s,)}}\]]+", re.IGNORECASE)
# Of AWS, GitHub, GitLab, the Hugging Face hub, OpenAI and its like, Slack; private keys.
_KNOWN_KEY = re.compile(
    r"\b(?:AKIA[0-9A-Z]{16}|gh[pousr]_\w{20,}|github_pat_\w{20,}|glpat-[\w\-]{20,}|hf_\w{20,}"
    r"|sk-[\w\-]{20,}|xox[abprs]-[\w\-]{10,})"
    r"|-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(?:-----END [A-Z ]*PRIVATE KEY-----|\Z)",
    re.DOTALL,
)
_ILLEGAL = re.compile(r"[^\w\-. :/]", re.ASCII)


def flat(params: Any, prefix: str = "") -> dict[str, str]:
    """Nested values as `{"transfer.rates.head_lr": "0.001"}`: lists as JSON, secrets left out."""
    return dict(_leaves(params, prefix))


def _leaves(value: Any, path: str) -> Iterator[tuple[str, str]]:
    if isinstance(value, Mapping) and value:
        for key, item in value.items():
            if not SECRET.search(str(key)):
                yield from _leaves(item, f"{path}.{key}" if path else str(key))
    elif path:
        yield legal_key(path), shortened(public(_text(value)), MAX_VALUE)


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, default=str)


def nested_public(value: Any) -> Any:
    """The same nesting without secrets."""
    if isinstance(value, Mapping):
        items = ((str(key), item) for key, item in value.items())
        return {key: nested_public(item) for key, item in items if not SECRET.search(key)}
    if isinstance(value, list | tuple):
        return [nested_public(item) for item in value]
    return public(value) if isinstance(value, str) else value


def public(text: str) -> str:
    """`https://user:word@host/?token=x` without what only its owner should know."""
    return _SECRET_IN_QUERY.sub(r"\1...", _USER_IN_URI.sub("", text))


def public_source(text: str) -> str:
    """Lines of code and of configurations without the values of what is called a secret, and
    without what looks like a key of a known service, whatever it is called."""
    return _KNOWN_KEY.sub("...", _ASSIGNED.sub(r"\1...", public(text)))


def shortened(text: str, limit: int) -> str:
    """At most `limit` characters. What was cut off is told apart by its length and sha256."""
    if len(text) <= limit:
        return text
    digest = hashlib.sha256(text.encode()).hexdigest()
    mark = f"... ({len(text)} characters, sha256 {digest})"
    return text[: limit - len(mark)] + mark


def legal_key(key: str) -> str:
    """A name that MLflow takes: letters, digits and `_-. :/`, short enough, not a path upwards."""
    key = "/".join(part for part in _ILLEGAL.sub("_", key).split("/") if part.strip("."))
    if len(key) > MAX_KEY:
        digest = hashlib.sha256(key.encode()).hexdigest()[:16]
        key = f"{key[: MAX_KEY - 17]}-{digest}"
    return key or "_"
