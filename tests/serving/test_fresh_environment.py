"""An environment of onnxruntime, NumPy and Pillow alone gets the test accuracy from the photos."""

from __future__ import annotations

import json
import subprocess
import venv
from pathlib import Path

import pandas as pd
import pytest
from finished_project import finish

from graftwork.cli.export import run
from graftwork.serving.exporting import Wanted

PROJECT = Path(__file__).parents[2]
PACKAGES = ("numpy", "onnxruntime", "pillow")
# The README's lines for one photo, over all that standard input names.
CODE = """
import importlib.util, json, numpy, onnxruntime, sys
from PIL import Image, ImageOps

assert not any(map(importlib.util.find_spec, ("graftwork", "torch", "timm", "cv2")))
session = onnxruntime.InferenceSession("model.onnx")
classes = json.loads(session.get_modelmeta().custom_metadata_map["classes"])
answers = []
for path in json.load(sys.stdin):
    photo = ImageOps.exif_transpose(Image.open(path)).convert("RGB")
    (logits,) = session.run(None, {"images": numpy.asarray(photo)[None]})
    answers.append(classes[logits[0].argmax()])
print(json.dumps(answers))
"""


@pytest.mark.slow
def test_it_reproduces_the_test_accuracy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    project = finish(tmp_path)
    monkeypatch.chdir(project.artifacts.root)
    run("model", Wanted("onnx", "fp32", "photos"), None, None, Path("."))
    venv.create(tmp_path / "fresh", with_pip=True)
    python = tmp_path / "fresh" / "bin" / "python"
    constraints = str(PROJECT / "constraints.txt")
    subprocess.run(
        [python, "-m", "pip", "install", "-q", "--constraint", constraints, *PACKAGES], check=True
    )
    told = pd.read_parquet(project.artifacts.predictions)
    done = subprocess.run(
        [python, "-I", "-c", CODE], cwd=project.artifacts.root / "exports" / "onnx-fp32",
        input=json.dumps(list(told["path"])), capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    answers = json.loads(done.stdout)
    assert answers == list(told["predicted"]) and len(set(answers)) > 1
    top1 = json.loads(project.artifacts.metrics.read_text())["test"]["top1"]["value"]
    right = [said == true for said, true in zip(answers, told["class"], strict=True)]
    assert sum(right) / len(right) == top1
