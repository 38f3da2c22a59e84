from __future__ import annotations

import importlib.util
import subprocess
from pathlib import Path
from types import ModuleType, SimpleNamespace

import pytest
from local_server import serving

PROJECT = Path(__file__).parents[1]


@pytest.fixture
def audit(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    spec = importlib.util.spec_from_file_location("audit", PROJECT / ".ci" / "audit.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    monkeypatch.setattr(module, "importlib", SimpleNamespace(util=SimpleNamespace(find_spec=id)))
    return module


def test_a_mirror_without_advisories_is_told_from_pypi(audit: ModuleType) -> None:
    with serving() as server:
        server.files = {"/full": b'{"vulnerabilities": []}', "/mirror": b'{"files": []}'}
        server.files["/page"] = b"<html>"
        assert audit.why_not(f"{server.url}/full") == ""
        for path in ("mirror", "page", "absent"):
            assert "no advisories" in audit.why_not(f"{server.url}/{path}")
    assert "no advisories" in audit.why_not(server.url)  # nobody answers any more


def test_it_is_left_out_in_one_line_and_fails_nothing(
    audit: ModuleType,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(audit, "why_not", lambda: "nobody to ask")
    assert audit.main(tmp_path / "stamp") == 0 and not (tmp_path / "stamp").exists()
    assert capsys.readouterr().out == "audit: left out: nobody to ask.\n"


def test_an_advisory_fails_and_a_clean_answer_holds_for_a_day(
    audit: ModuleType, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    codes = [1, 0]
    monkeypatch.setattr(audit, "why_not", lambda: "")
    ended = lambda *_, **__: SimpleNamespace(returncode=codes.pop(0))  # noqa: E731
    monkeypatch.setattr(subprocess, "run", ended)
    assert [audit.main(tmp_path / "stamp") for _ in range(3)] == [1, 0, 0] and not codes
