"""README's worked example, done as it stands there in a copy of the project."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import CONF

PROJECT = CONF.parent
SECTION = re.compile(
    r"^### A worked example: adding a network\n(.*?)^## ", re.MULTILINE | re.DOTALL
)
FILE = re.compile(r"^`([\w./]+)`, .*?^```\w+\n(.*?)^```$", re.MULTILINE | re.DOTALL)
COMMAND = re.compile(r"^```\n(python -m .*)\n```$", re.MULTILINE)


@pytest.fixture(scope="module")
def section() -> str:
    found = SECTION.search((PROJECT / "README.md").read_text())
    assert found, "README lost its worked example"
    return found[1]


@pytest.fixture(scope="module")
def project(section: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the project, to which the files of the example were added."""
    copy = tmp_path_factory.mktemp("example") / "project"
    ignored = shutil.ignore_patterns("*.egg-info")  # what is compiled stays valid in the copy
    for name in ("conf", "pipelines", "src", "tests"):
        shutil.copytree(PROJECT / name, copy / name, ignore=ignored)
    shutil.copy(PROJECT / "pyproject.toml", copy)
    files = dict(FILE.findall(section))
    assert [Path(name).suffix for name in files] == [".py", ".yaml", ".py"]
    for name, content in files.items():
        assert not (copy / name).exists(), f"{name} is there already: the example adds nothing"
        (copy / name).write_text(content)
    return copy


def run(project: Path, *arguments: str) -> str:
    env = os.environ | {"PYTHONPATH": f"{project / 'src'}:{project}", "OMP_NUM_THREADS": "1"}
    env["COLUMNS"] = "100"
    command = [sys.executable, *arguments]
    done = subprocess.run(command, cwd=project, env=env, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_its_command_trains_the_network(section: str, project: Path, tiny_folder: Path) -> None:
    (command,) = COMMAND.findall(section)
    _, *arguments = command.split()
    quick = ("tracking.log_model=false", "evaluation.engine=eager")
    run(project, *arguments, "dataset=folder", f"dataset.path={tiny_folder}", *quick)
    (contract,) = project.glob("runs/*/*_nin_from_scratch/model/model.json")
    assert json.loads(contract.read_text())["architecture"]["architecture"] == "nin"
    (metrics,) = project.glob("runs/*/*/reports/metrics.json")
    assert json.loads(metrics.read_text())["test"]["top1"]["n"] == 15


def test_its_own_test_and_the_list_test_pass(project: Path) -> None:
    tests = ["tests/models/backbones/test_nin.py", "tests/models/test_every_network.py"]
    said = run(project, "-m", "pytest", "-vv", "-k", "nin", "-p", "no:cacheprovider", *tests)
    assert "test_it_has_the_parameters_of_the_paper PASSED" in said
    checks = re.findall(r"test_every_network.py::(\w+)\[nin[^]]*\] PASSED", said)
    assert {"test_it_freezes_at_each_layer_group", "test_its_comment_gives_its_size"} <= {*checks}
    assert len(checks) >= 10


def test_it_is_among_the_models(project: Path) -> None:
    said = run(project, "-m", "graftwork", "models")
    (line,) = [line for line in said.splitlines() if "nin " in line]
    assert "Network in" in line and "0.97 M" in line


def test_it_is_written_as_the_project_is(project: Path) -> None:
    files = ["src/graftwork/models/backbones/nin.py", "tests/models/backbones/test_nin.py"]
    assert "All checks passed!" in run(project, "-m", "ruff", "check", *files)
    assert "2 files already formatted" in run(project, "-m", "ruff", "format", "--check", *files)
