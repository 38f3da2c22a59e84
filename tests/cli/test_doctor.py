from __future__ import annotations

import subprocess

from graftwork.cli import doctor


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
