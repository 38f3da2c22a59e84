"""What pyproject.toml asks for, and the versions that constraints.txt holds it to."""

from __future__ import annotations

import tomllib
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

PROJECT = Path(__file__).parents[1]
ASKED = {
    found.name: found.specifier
    for found in map(
        Requirement,
        tomllib.loads((PROJECT / "pyproject.toml").read_text())["project"]["dependencies"],
    )
}


def test_what_must_not_come_in_does_not():
    later = {"albumentations": "2.0.9", "omegaconf": "2.4.0", "pytorch-lightning": "2.6.5"}
    assert not [name for name, version in later.items() if version in ASKED[name]]


def test_every_constraint_is_a_version_that_is_asked_for():
    lines = (PROJECT / "constraints.txt").read_text().splitlines()
    pairs = [line.split("==") for line in lines if "==" in line]
    held = {canonicalize_name(name): version for name, version in pairs}
    assert ASKED.keys() <= held.keys()
    assert not [name for name, specifier in ASKED.items() if held[name] not in specifier]
