"""MLflow's pages in a real browser: a sweep with its jobs, and a comparison of two.

To look at the pictures, name a folder for them: GRAFTWORK_PICTURES=.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest
from browser import CHROMIUM, Browser

from graftwork.cli import ui
from graftwork.recording.mlflow_store import open_store
from graftwork.storage.artifacts import Artifacts

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not installed"),
]
PROJECT = Path(__file__).parents[2]
FOLDED = "document.querySelector('[data-component-id$=\"runnamecellrenderer.tsx_46\"]')"
CLOSE = "document.querySelector('[data-component-id=\"mlflow.assistant.chat_panel.close\"]')"
FOREIGN = (
    "JSON.stringify(performance.getEntriesByType('resource').map(entry => entry.name)"
    ".filter(name => !name.startsWith(location.origin) && !name.startsWith('data:')))"
)


@pytest.fixture
def sweep(tmp_path: Path, tiny_folder: Path) -> Path:
    """A project after a sweep of two experiments; the sweep's folder."""
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join([str(PROJECT / "src"), str(PROJECT)]),
    }
    command = [
        *(sys.executable, "-m", "pipelines.experiment", "-m", "seed=1,2", "dataset=folder"),
        *(f"dataset.path={tiny_folder}", "model=tiny_cnn", "transfer=from_scratch"),
        *("trainer=smoke", "evaluation.bootstrap_samples=100"),
    ]
    project = tmp_path / "project"
    project.mkdir()
    subprocess.run(command, cwd=project, env=environment, check=True, timeout=300)
    return next(project.glob("runs/*/*_sweep"))


@pytest.fixture
def address(sweep: Path):
    port = ui.free_port()
    command = ui.command(Artifacts.at(sweep.parents[2]), port)
    with subprocess.Popen(command, env=ui.environment(port)) as server:
        for _ in range(300):
            try:
                urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=5).close()
                break
            except OSError:
                assert server.poll() is None
                subprocess.run(["sleep", "0.2"], check=True)
        yield f"http://127.0.0.1:{port}"
        server.terminate()


def test_the_pages_show_a_sweep_and_a_comparison(sweep, address, tmp_path):
    client = open_store(None, Artifacts.at(sweep.parents[2]))
    jobs = [json.loads((sweep / name / "run.json").read_text())["run_id"] for name in "01"]
    group = client.get_run(jobs[0]).info.experiment_id
    with Browser(tmp_path / "profile", width=1500, height=1000) as browser:
        browser.open(f"{address}/#/experiments/{group}/runs")
        browser.wait_for(f"!!{FOLDED}")
        assert not browser.run("document.body.innerText.includes('seed=2')")  # folded
        browser.run(f"{FOLDED}.click(), 0")
        for name in ("seed=1,2", "seed=1", "seed=2", "3 matching runs"):
            browser.wait_for(f"document.body.innerText.split('\\n').includes('{name}')")
        browser.run(f"{CLOSE}?.click(), 0")
        browser.picture(tmp_path / "runs.png")
        runs = json.dumps(jobs, separators=(",", ":"))
        browser.open(f'{address}/#/compare-runs?runs={runs}&experiments=["{group}"]')
        browser.wait_for("document.body.innerText.includes('Comparing 2 Runs')")
        browser.wait_for("document.body.innerText.includes('Run details')")
        browser.picture(tmp_path / "comparison.png")
        assert browser.run(FOREIGN) == "[]"  # the pages ask nobody but this server
    for name in ("runs.png", "comparison.png"):
        assert (tmp_path / name).stat().st_size > 20_000
    if kept := os.environ.get("GRAFTWORK_PICTURES"):
        for name in ("runs.png", "comparison.png"):
            shutil.copy(tmp_path / name, kept)
