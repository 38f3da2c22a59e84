"""`graftwork serve` as a process: its page in a real browser, every request that its description
allows, SIGTERM; and the same model under `mlflow models serve`.

To look at the pictures, name a folder for them: GRAFTWORK_PICTURES=.
"""

from __future__ import annotations

import base64
import json
import os
import shutil
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from browser import CHROMIUM, Browser
from untrained_model import untrained

from graftwork.cli.ui import free_port
from graftwork.recording.mlflow_model import save_model
from graftwork.serving.predictor import Predictor

pytestmark = pytest.mark.slow
PROJECT = Path(__file__).parents[2]
FOREIGN = (
    "JSON.stringify(performance.getEntriesByType('resource').map(entry => entry.name)"
    ".filter(name => !name.startsWith(location.origin) && !/^(data|blob):/.test(name)))"
)
# What a person does by hand: a file in the field, whatever its name.
CHOOSE = """(() => {
  const bytes = Uint8Array.from(atob(%s), (c) => c.charCodeAt(0));
  const chosen = new DataTransfer();
  chosen.items.add(new File([bytes], %s, { type: "image/jpeg" }));
  document.getElementById("choose").files = chosen.files;
  document.getElementById("choose").dispatchEvent(new Event("change"));
})(), 0"""


@contextmanager
def started(command: Sequence[str], folder: Path, ping: str) -> Iterator[tuple[str, Any]]:
    """A service in a process of its own: its address, and the process."""
    port = free_port()
    env = {**os.environ, "PYTHONPATH": str(PROJECT / "src"), "MLFLOW_DISABLE_TELEMETRY": "true"}
    whole = [sys.executable, "-m", *command, "--port", str(port)]
    with subprocess.Popen(whole, env=env, cwd=folder, start_new_session=True) as process:
        try:
            for _ in range(600):
                try:
                    urllib.request.urlopen(f"http://127.0.0.1:{port}{ping}", timeout=5).close()
                    break
                except OSError:
                    assert process.poll() is None
                    time.sleep(0.2)
            yield f"http://127.0.0.1:{port}", process
        finally:
            if process.poll() is None:
                os.killpg(process.pid, 15)


@pytest.fixture
def model(tmp_path: Path, tiny_params: Callable[..., Any]) -> tuple[Any, bytes]:
    """The tree of an experiment, and a photo."""
    _, artifacts, frame = untrained(tiny_params("evaluation.engine=torch"), tmp_path)
    return artifacts, Path(frame["path"][0]).read_bytes()


@pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not installed")
@pytest.mark.parametrize("width", [1280, 390])
def test_the_page_answers_a_real_photo_and_a_hostile_one(
    model: Any, tmp_path: Path, width: int
) -> None:
    artifacts, photo = model
    hostile = "<img src=x onerror=document.title='taken'>.jpg"
    command = ("graftwork", "serve", str(artifacts.model))
    with (
        started(command, tmp_path, "/ready") as (address, _),
        Browser(tmp_path / "profile") as browser,
    ):
        browser.resize(width, 1200)
        browser.open(address)
        browser.wait_for("document.readyState === 'complete' && !!document.getElementById('ask')")
        choose(browser, photo, hostile)
        browser.wait_for("!document.getElementById('more').hidden")
        shown = browser.run("document.body.innerText")
        assert hostile in shown and "Where the network looked" in shown
        assert browser.run("document.querySelectorAll('#answers li').length") == 3
        assert browser.run("document.getElementById('heat').naturalWidth") > 0
        assert browser.run("document.activeElement.id") == "result"  # read out, and next by Tab
        assert browser.run("document.documentElement.scrollWidth") <= width
        browser.picture(tmp_path / "page.png")
        choose(browser, b"<html><script>document.title='taken'</script>", hostile)
        browser.wait_for("document.getElementById('status').className === 'bad'")
        assert "a web page, not an image" in browser.run("document.body.innerText")
        assert browser.run("document.getElementById('result').hidden")
        assert "taken" not in browser.run("document.title") and browser.run(FOREIGN) == "[]"
    assert (tmp_path / "page.png").stat().st_size > 10_000
    if kept := os.environ.get("GRAFTWORK_PICTURES"):
        shutil.copy(tmp_path / "page.png", Path(kept) / f"serve-{width}.png")


def choose(browser: Browser, content: bytes, name: str) -> None:
    browser.run(CHOOSE % (json.dumps(base64.b64encode(content).decode()), json.dumps(name)))


def test_no_request_that_its_description_allows_makes_it_fail(model: Any, tmp_path: Path) -> None:
    pytest.importorskip("schemathesis")
    artifacts, photo = model
    command = ("graftwork", "serve", str(artifacts.model))
    with started(command, tmp_path, "/ready") as (address, process):
        kind = {"Content-Type": "image/jpeg"}  # the first explanation takes longest
        asked = urllib.request.Request(f"{address}/explain", photo, kind)
        urllib.request.urlopen(asked, timeout=120).close()
        done = subprocess.run(
            [sys.executable, "-m", "schemathesis.cli", "run", f"{address}/openapi.json",
             "--checks", "not_a_server_error,status_code_conformance,content_type_conformance,"
             "response_schema_conformance", "--max-examples", "60", "--seed", "1", "--no-color",
             "--request-timeout", "60"],
            capture_output=True, text=True, timeout=500, cwd=tmp_path,
        )  # fmt: skip
        assert process.poll() is None
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-2000:]


def test_sigterm_answers_what_is_under_way_and_ends_with_0(model: Any, tmp_path: Path) -> None:
    import http.client

    artifacts, photo = model
    command = ("graftwork", "serve", str(artifacts.model))
    with started(command, tmp_path, "/ready") as (address, process):
        connection = http.client.HTTPConnection(address.removeprefix("http://"), timeout=30)
        connection.putrequest("POST", "/predict")
        connection.putheader("Content-Type", "image/jpeg")
        connection.putheader("Content-Length", str(len(photo)))
        connection.endheaders(photo[:100])
        time.sleep(0.5)
        process.terminate()
        time.sleep(0.5)
        connection.send(photo[100:])
        answer = connection.getresponse()
        assert answer.status == 200 and json.loads(answer.read())["photos"][0]["answers"]
        assert process.wait(30) == 0


def test_the_same_model_answers_under_mlflow_models_serve(model: Any, tmp_path: Path) -> None:
    artifacts, photo = model
    save_model(tmp_path / "mlflow", artifacts.model, photo)
    command = ("mlflow", "models", "serve", "--env-manager", "local", "--model-uri",
               str(tmp_path / "mlflow"))  # fmt: skip
    data = [[base64.b64encode(photo).decode()]] * 2
    body = json.dumps({"dataframe_split": {"columns": ["image"], "data": data}}).encode()
    with started(command, tmp_path, "/ping") as (address, _):
        asked = urllib.request.Request(
            f"{address}/invocations", body, {"Content-Type": "application/json"}
        )
        with urllib.request.urlopen(asked, timeout=60) as answer:
            rows = json.loads(answer.read())["predictions"]
    predictor = Predictor(artifacts.model)
    expected = predictor.probabilities([photo])[0]
    assert len(rows) == 2
    for row in rows:
        np.testing.assert_allclose(row["probabilities"], expected, atol=1e-6)
        assert row["class"] == predictor.classes[int(expected.argmax())]
