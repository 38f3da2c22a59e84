from __future__ import annotations

import io
import json
import subprocess
import sys
from pathlib import Path
from xml.dom.minidom import parseString

import pytest
from rich.console import Console

from graftwork.cli import commands as cli
from graftwork.config.errors import UserError
from graftwork.pareto.command import compared_runs, show
from graftwork.recording.mlflow_store import open_store
from graftwork.storage.artifacts import Artifacts

RUNS = (("resnet50", 0.82, 4.1e9), ("mobilenetv2", 0.78, 3e8), ("vgg16", 0.7, 15e9))
TOP1 = {"_target_": "graftwork.metrics.accuracy.TopK", "k": "1", "higher_is_better": "true"}


@pytest.fixture(scope="module")
def root(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("project")
    client = open_store(None, Artifacts.at(folder))
    group = client.create_experiment("graftwork")
    for network, top1, macs in RUNS:
        run_id = client.create_run(group).info.run_id
        client.log_param(run_id, "model.name", network)
        client.log_param(run_id, "dataset.name", "fruit <b>")
        for key, value in TOP1.items():
            client.log_param(run_id, f"evaluation.metrics.top1.{key}", value)
        client.set_tag(run_id, "data.test_digest", "0123456789")
        client.set_tag(run_id, "data.digest", "abcdefghij")
        ends = {"": 0.0, "_low": -0.03, "_high": 0.03}
        values = {f"selection/top1{end}": top1 + width for end, width in ends.items()}
        if network != "resnet50":  # the test alone would put the others the other way round
            values |= {f"test/top1{end}": 1 - top1 + width for end, width in ends.items()}
        for name, value in {**values, "cost/macs": macs, "cost/seconds/finetune": 60.0}.items():
            client.log_metric(run_id, name, value)
        client.set_terminated(run_id)
    return folder


def test_table_and_files(root, tmp_path):
    shown = compared_runs(root, "top1", ["macs,seconds"], None, None, None, "selection")
    files = {kind: tmp_path / "out" / f"p.{kind}" for kind in ("html", "csv", "json")}
    out = io.StringIO()
    show(shown, files, Console(file=out, width=110))
    text = out.getvalue()
    assert "resnet50" in text and "79.0-85.0" in text and "2 of 3" in text and "4.1" in text
    assert "vgg16" not in text  # dominated on every axis
    assert "22.0" in text and "not looked at" in text and "chooses on the test" not in text
    assert f"written: {files['html']}" in text
    html = files["html"].read_text()
    assert html.startswith("<!doctype html>") and "fruit &lt;b&gt;" in html and "vgg16" in html
    for svg in html.split("<svg")[1:]:
        parseString("<svg" + svg.partition("</svg>")[0] + "</svg>")
    assert html.count("<svg") == 2 and "http-equiv" in html and "<script" not in html
    assert files["csv"].read_text().count("\n") == 4
    assert len(json.loads(files["json"].read_text())["costs"]["macs"]["frontier"]) == 2


def test_test_scores_are_had_for_the_asking_with_a_warning(root, tmp_path):
    shown = compared_runs(root, "top1", ["macs"], None, None, None, "test")
    assert [(run.name, run.value) for run in shown.runs] == [
        ("vgg16", pytest.approx(0.3)), ("mobilenetv2", pytest.approx(0.22)),
    ]  # fmt: skip
    page = tmp_path / "p.html"
    out = io.StringIO()
    show(shown, {"html": page}, Console(file=out, width=110))
    for text in (" ".join(out.getvalue().split()), page.read_text()):
        assert "A frontier of test scores chooses on the test set" in text
        assert "1 run without a test score: left out." in text


def test_nothing_to_read_is_said(root):
    with pytest.raises(UserError, match="no finished run. Loosen --filter"):
        compared_runs(root, "top1", [], None, None, "params.`model.name` = 'x'", "selection")


def test_a_file_that_cannot_be_written_is_named(root, tmp_path):
    shown = compared_runs(root, "top1", [], None, None, None, "selection")
    with pytest.raises(UserError, match="--csv: .* cannot be written"):
        show(shown, {"csv": tmp_path}, Console(file=io.StringIO()))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--metric", "topp1"], "--metric: 'topp1' is unknown. Did you mean 'top1'"),
        (["--on", "tests"], "--on: 'tests' is unknown. Did you mean 'test'"),
        (["--cost", "maks"], "--cost: 'maks' is unknown. Did you mean 'macs'"),
        (["--cost", "energy"], "none of 3 runs"),
        (["--experiment", "graft"], "Did you mean 'graftwork'"),
    ],
)
def test_mistakes_end_with_exit_code_2(root, monkeypatch, capsys, arguments, message):
    monkeypatch.setattr(sys, "argv", ["graftwork", "pareto", "--root", str(root), *arguments])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    assert ended.value.code == 2 and message in capsys.readouterr().err


def test_it_needs_no_torch(root):
    code = (
        "import sys\nfrom graftwork import cli\ntry:\n    cli.main()\n"
        "finally:\n    assert not {'torch', 'timm'} & set(sys.modules)"
    )
    command = [sys.executable, "-c", code, "pareto", "--root", str(root)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0 and "mobilenetv2" in done.stdout, done.stderr
