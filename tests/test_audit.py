"""`make audit`: told in one line where there is nobody to ask; what it finds is its exit code."""

from __future__ import annotations

import importlib.util
import subprocess
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest

PROJECT = Path(__file__).parents[1]
KNOWN = b'{"dependencies": [{"name": "pip", "version": "1", "vulns": []}]}'
UNKNOWN = b'{"dependencies": [{"name": "pip", "skip_reason": "not found"}]}'


@pytest.fixture
def audit(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    spec = importlib.util.spec_from_file_location("audit", PROJECT / ".ci" / "audit.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    monkeypatch.setattr(module.importlib.util, "find_spec", lambda name: object())
    return module


def answering(one: bytes, code: int = 0) -> Callable[..., subprocess.CompletedProcess[bytes]]:
    """pip-audit as it answers for one package, and for all of them."""

    def run(command: list[str], **_: object) -> subprocess.CompletedProcess[bytes]:
        single = command[4].endswith("one.txt")
        said = (0, one) if single else (code, b"all of them\n")
        return subprocess.CompletedProcess(command, said[0], said[1], b"")

    return run


@pytest.mark.parametrize("answer", [UNKNOWN, b"", b"no JSON"])
def test_without_advisories_it_is_left_out_in_one_line(
    audit: ModuleType,
    answer: bytes,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(subprocess, "run", answering(answer, code=1))
    assert audit.main(tmp_path / "stamp") == 0 and not (tmp_path / "stamp").exists()
    said = capsys.readouterr().out
    assert said == "audit: left out: no advisories can be reached from here.\n"


def test_an_advisory_is_its_exit_code_and_a_clean_answer_holds_for_a_day(
    audit: ModuleType,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    codes = []
    for code in (1, 0, 1):  # the third is not asked
        monkeypatch.setattr(subprocess, "run", answering(KNOWN, code))
        codes.append(audit.main(tmp_path / "stamp"))
    assert codes == [1, 0, 0]
    assert capsys.readouterr().out == "all of them\n" * 2


def test_whoever_does_not_answer_is_waited_for_no_longer(
    audit: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def slow(command: list[str], **_: object) -> None:
        raise subprocess.TimeoutExpired(command, 1)

    monkeypatch.setattr(subprocess, "run", slow)
    assert audit.main(tmp_path / "stamp") == 0
