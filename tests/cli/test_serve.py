"""`graftwork serve`: what it refuses before time is spent, and its pages."""

from __future__ import annotations

import re
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from running_service import service
from untrained_model import untrained

from graftwork.cli import serve as command
from graftwork.cli.ui import free_port
from graftwork.config.errors import UserError
from graftwork.inspecting.service_pages import service_pages


def served(word: str, *changes: str, **other: Any) -> None:
    asked = {"host": "127.0.0.1", "port": free_port(), "names": [], "origins": []} | other
    command.serve(word, changes=changes, **asked)


def test_mistakes_are_told_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UserError, match="--set.*: 'photo' is unknown. Did you mean 'photos'"):
        served(str(tmp_path), "photo=1")
    with pytest.raises(UserError, match="MODEL: no such folder"):
        served(str(tmp_path / "none"))
    with pytest.raises(UserError, match="model.json: no such file"):
        served(str(tmp_path))
    for host in ("192.0.2.1", "no such host"):
        with pytest.raises(UserError, match="--host: .* is no address of this machine"):
            served(str(tmp_path), host=host)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        with pytest.raises(UserError, match="taken by another program"):
            served(str(tmp_path), port=taken.getsockname()[1])
    monkeypatch.setattr(command, "find_spec", lambda _: None)
    with pytest.raises(UserError, match=r"pip install 'graftwork\[serve\]'"):
        served(str(tmp_path))


@pytest.mark.parametrize(
    "host, here", [("127.0.0.1", True), ("::1", True), ("localhost", True), ("0.0.0.0", False),
                   ("photos.example", False)],
)  # fmt: skip
def test_training_photos_are_shown_to_this_machine_alone(host: str, here: bool) -> None:
    assert command._is_here(host) == here


def test_pages_run_nothing_from_elsewhere_and_show_names_as_text(
    tmp_path: Path, tiny_params: Callable[..., Any]
) -> None:
    _, artifacts, _ = untrained(tiny_params("evaluation.engine=torch"), tmp_path)
    names = ["<script>alert(1)</script>", "b"]
    with service(
        artifacts.model, artifacts.trained,
        pages=lambda api: service_pages(api, "a<b>", names, "127.0.0.1:8000"),
    ) as found:  # fmt: skip
        page, docs = found.got("/"), found.got("/docs")
        script, style = found.got("/page.js"), found.got("/page.css")
    text = page.body.decode()
    assert names[0] not in text and "&lt;script&gt;alert(1)" in text and "a&lt;b&gt;" in text
    assert 'accept="image/*" capture=' in text and 'role="status"' in text
    for answer in (page, docs):
        assert answer.status == 200 and answer.headers["content-type"].startswith("text/html")
        policy = answer.headers["content-security-policy"]
        assert "default-src 'none'" in policy and "unsafe" not in policy
        assert not re.search(r"""(src|href|action)=["'](?!/|data:,)""", answer.body.decode())
    assert script.headers["content-type"].startswith("text/javascript")
    assert not re.search(
        rb"innerHTML|outerHTML|insertAdjacent|document\.write|https?:", script.body
    )
    assert style.headers["content-type"].startswith("text/css") and b"@import" not in style.body
    assert all(path in docs.body.decode() for path in ("/predict", "/explain", "/reload", "504"))
