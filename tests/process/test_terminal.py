from __future__ import annotations

import io
import subprocess
import sys

import pytest
from rich.console import Console

from graftwork.cli import catalogue, doctor
from graftwork.cli import commands as cli
from graftwork.config.errors import UserError
from graftwork.process.terminal import literal, visible, visible_lines
from pipelines.stage import reported

OWNED = "\x1b]0;owned\x07cat\x1b[2J"
SHOWN = r"\x1b]0;owned\x07cat\x1b[2J"


def test_what_a_terminal_obeys_is_seen_instead():
    assert visible(OWNED) == SHOWN
    assert visible("a\r\n\tb\x7f\x9b") == r"a\r\n\tb\x7f\x9b"
    assert visible("a\u202eb\u2066c\u2028d") == r"a\u202eb\u2066c\u2028d"
    assert visible_lines(f"one\n{OWNED}") == f"one\n{SHOWN}"


def test_every_other_name_stays_as_it_is():
    for name in ("café", "猫 [/us]", "a\u200db", "1\u202f433", r"C:\x1b", "👩\u200d🌾"):
        assert visible(name) == name


def test_a_file_name_that_is_no_utf8_can_be_printed():
    name = b"caf\xe9".decode("utf-8", "surrogateescape")
    assert visible(name).encode() == rb"caf\udce9"


def test_rich_takes_every_character_for_itself():
    out = io.StringIO()
    name = "[bold]a[/] [/us] :cat: 12"
    Console(file=out, width=80, force_terminal=True).print(literal(name))
    assert out.getvalue() == f"{name}\n"


def test_messages_need_no_rich():
    code = "import sys, graftwork.process.terminal; assert 'rich' not in sys.modules"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


def test_a_mistake_is_told_in_visible_characters(monkeypatch, capsys):
    def mistaken():
        raise UserError(f"dataset: no class '{OWNED}'.\nRemove it.")

    monkeypatch.setattr(cli, "app", mistaken)
    with pytest.raises(SystemExit):
        cli.main()
    with pytest.raises(SystemExit), reported():
        mistaken()
    said = f"graftwork: dataset: no class '{SHOWN}'.\nRemove it.\n"
    assert capsys.readouterr().err == 2 * said


def test_findings_and_models_are_no_markup(monkeypatch, capsys, tmp_path):
    monkeypatch.setenv("COLUMNS", "200")
    doctor.show([doctor.Finding("devices", "GPUs", f"[/us] {OWNED}")])
    entry = catalogue.Entry("[cat]", "\x1b[2J: a network", "[/us]", "", "[MIT]")
    monkeypatch.setattr(catalogue, "entries", lambda conf: [entry])
    catalogue.show_models(tmp_path)
    drawn = capsys.readouterr().out
    for said in (f"[/us] {SHOWN}", "[cat]", r"\x1b[2J", "[/us]", "[MIT]"):
        assert said in drawn
    assert "\x1b" not in drawn
