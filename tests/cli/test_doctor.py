from __future__ import annotations

import subprocess
from unittest.mock import ANY

import pytest

from graftwork.cli import commands, doctor
from graftwork.storage.files import write_sealed


def test_a_reachable_and_an_unreachable_registry(monkeypatch):
    monkeypatch.setattr(doctor.subprocess, "run", lambda *a, **k: None)
    assert doctor._registry("pip").value == "reachable"

    def refuse(*args, **options):
        raise subprocess.TimeoutExpired("pip", 1)

    monkeypatch.setattr(doctor.subprocess, "run", refuse)
    finding = doctor._registry("pip")
    assert not finding.good and "not reachable" in finding.value


def test_npm_is_optional(monkeypatch):
    monkeypatch.setattr(doctor.shutil, "which", lambda name: None)
    assert doctor._registry("npm").good


def test_examination_covers_every_topic_and_shows(monkeypatch, capsys):
    monkeypatch.setattr(doctor, "_registry", lambda c: doctor.Finding("registries", c, "x", False))
    findings = doctor.examine()
    topics = {finding.topic for finding in findings}
    assert topics == {"versions", "devices", "precision", "disk", "registries"}
    doctor.show(findings)
    printed = capsys.readouterr().out
    assert "torch" in printed and "free here" in printed


def test_a_missing_package_is_said(monkeypatch):
    monkeypatch.setattr(doctor, "PACKAGES", ("no-such-package-here",))
    assert [f.good for f in doctor._versions()] == [True, False]


def test_a_damaged_project_ends_with_1_and_names_what_is_wrong(monkeypatch, capsys, tmp_path):
    for part in ("_versions", "_devices", "_precisions", "_room"):
        monkeypatch.setattr(doctor, part, lambda: [])
    monkeypatch.setattr(doctor, "_registry", lambda c: doctor.Finding("registries", c, "x"))
    monkeypatch.setenv("COLUMNS", "200")

    def run(*options):
        monkeypatch.setattr("sys.argv", ["graftwork", "doctor", "--root", str(tmp_path), *options])
        with pytest.raises(SystemExit) as stop:
            commands.main()
        return stop.value.code, capsys.readouterr().out

    assert run("--verify") == (0, ANY) and "is what was written" not in run()[1]
    profile = tmp_path / "store/profiles/key.json"
    write_sealed(profile, {"macs": 1})
    profile.write_text(profile.read_text().replace("1", "2", 1))
    assert run() == (0, ANY), "without --verify nothing is read"
    code, said = run("--verify")
    assert code == 1 and "key.json: damaged" in said.replace("\n", "")
    (tmp_path / "mlflow.db").write_bytes(b"no database at all" * 99)
    code, said = run()
    assert code == 1 and "recorded runs" in said and "cannot be used" in said
