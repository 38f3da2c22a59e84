"""`graftwork predict`: what evaluation says, to its bits; everything that can be answered is."""

from __future__ import annotations

import csv
import json
import os
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
import yaml
from untrained_model import save_model, untrained

from graftwork.config.errors import UserError
from graftwork.evaluating import prediction_table
from graftwork.evaluating.answering import answering
from graftwork.predicting import command
from graftwork.predicting.command import Outputs, predict
from graftwork.serving.answering import ModelAnswers

ENGINE = ("evaluation.engine=torch", "evaluation.precision=fp32", "extraction.batch_size=4")


@pytest.fixture
def project(tmp_path: Path, tiny_params: Callable[..., Any]) -> Any:
    """An experiment in tmp_path/job with a model folder, and its 15 test photos."""
    return untrained(tiny_params(*ENGINE), tmp_path)


def asked(project: Any, *words: str, **outputs: Any) -> int:
    """By the run's folder."""
    wanted = {"to": None, "top": 3, "copy_into": None, "copy": False, "gallery": None}
    words = words or (str(Path(project[2]["path"].iloc[0]).parents[1]),)
    return predict(str(project[1].root), words, Outputs(**wanted | outputs), None, None)


def test_answers_are_those_of_evaluation_bit_for_bit(
    project: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    experiment, artifacts, frame = project
    expected = answering(experiment, artifacts, frame).probabilities(frame)
    names = ["blue", "green", "red"]
    prediction_table.write(artifacts.predictions, frame, names, expected)
    out = tmp_path / "out.parquet"
    assert asked(project, *frame["path"].astype(str), to=out) == 0
    columns = ["sha256", "path", "predicted", "probability", "probabilities"]
    recorded = pq.read_table(artifacts.predictions, columns=columns)
    assert pq.read_table(out, columns=columns).to_pylist() == recorded.to_pylist()
    assert list(artifacts.trained.iterdir())  # of the project: nothing is kept anywhere else
    assert not (artifacts.root / "store").exists()
    said = capsys.readouterr().out
    assert "15 of 15 photos answered: torch fp32" in said
    assert "the first 10 of 15" in said
    for label, name in enumerate(names):
        count = int((expected.argmax(1) == label).sum())
        assert (re.search(rf"^{name} +{count} ", said, re.M) is not None) is (count > 0)


def test_the_others_are_answered_and_the_exit_code_tells(
    project: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    paths = list(project[2]["path"].astype(str))
    broken = tmp_path / "bro\x1bken.jpg"
    broken.write_bytes(b"<html>")
    words = [str(broken), *paths, str(tmp_path / "job" / "params.yaml")]
    assert asked(project, *words) == 1
    said = capsys.readouterr()
    assert "15 of 17 photos answered" in said.out and "\x1b" not in said.err
    assert said.err.count("no answer: ") == 2 and "a web page, not an image" in said.err
    assert asked(project, *words, to=tmp_path / "out.csv") == 1
    with (tmp_path / "out.unread.csv").open() as file:
        assert [row["path"][-11:] for row in csv.DictReader(file)] == [
            "\\x1bken.jpg",
            "params.yaml",
        ]
    assert asked(project, *paths, to=tmp_path / "out.csv") == 0
    assert not (tmp_path / "out.unread.csv").exists()
    assert asked(project, str(broken)) == 1


def test_a_start_that_was_cut_goes_on_and_asks_nothing_twice(
    project: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    paths = list(project[2]["path"].astype(str))
    whole, out = tmp_path / "whole.jsonl", tmp_path / "out.jsonl"
    assert asked(project, *paths, to=whole) == 0
    of, asked_about = ModelAnswers.of, []

    def cut(self: ModelAnswers, *args: Any) -> Iterator[Any]:
        for count, (photos, rows) in enumerate(of(self, *args)):
            if count == 2:
                raise KeyboardInterrupt
            yield photos, rows

    def noted(self: ModelAnswers, *args: Any) -> Iterator[Any]:
        for photos, rows in of(self, *args):
            asked_about.append(len(rows))
            yield photos, rows

    monkeypatch.setattr(ModelAnswers, "of", cut)
    assert asked(project, *paths, to=out) == command.CUT
    assert len(out.read_text().splitlines()) == 8
    monkeypatch.setattr(ModelAnswers, "of", noted)
    assert asked(project, *paths, to=out, copy_into=tmp_path / "sorted") == 0
    assert out.read_bytes() == whole.read_bytes() and asked_about == [0, 0, 4, 3]
    kept = [path for path in (tmp_path / "sorted").rglob("*") if path.is_symlink()]
    assert len(kept) == 15  # those of the first start, too


def test_another_photo_or_another_model_is_noticed(
    project: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    experiment, artifacts, frame = project
    first, second = (tmp_path / name for name in ("first.jpg", "second.jpg"))
    content = [Path(path).read_bytes() for path in frame["path"].iloc[:2]]
    for path, data in zip((first, second), content, strict=True):
        path.write_bytes(data)
    out = tmp_path / "out.csv"
    assert asked(project, str(first), str(second), to=out) == 0
    first.write_bytes(content[1])
    before = out.read_text()
    assert asked(project, str(first), str(second), to=out) == 1
    assert "first.jpg: has changed since its row" in capsys.readouterr().err
    assert out.read_text() == before
    save_model(experiment, artifacts, trained_share=0.5)  # says the same
    assert asked(project, str(second), to=out) == 0
    contract = json.loads((artifacts.model / "model.json").read_text())
    contract |= {"classes": ["x", "y", "z"]}
    del contract["sha256_of_the_rest"]
    (artifacts.model / "model.json").write_text(json.dumps(contract))
    with pytest.raises(UserError, match="answers of another model"):
        asked(project, str(second), to=out)


def test_the_page_shows_the_surest_and_the_least_sure(project: Any, tmp_path: Path) -> None:
    page = tmp_path / "pages" / "gallery.html"
    assert asked(project, gallery=page) == 0
    html = page.read_text()
    assert html.count('<img src="data:image/jpeg') in range(12, 16) and "<script" not in html
    assert "photos answered" in html


def test_a_folder_alone_keeps_its_network_beside_it(
    project: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    alone = tmp_path.parent / f"{tmp_path.name}-alone"
    alone.mkdir()
    project[1].model.rename(alone / "model")
    (alone / "params.yaml").write_text(yaml.safe_dump({"evaluation": {}}))  # of another version
    monkeypatch.chdir(alone)
    photo = str(project[2]["path"].iloc[0])
    wanted = Outputs(None, 1, None, False, None)
    assert predict("model", [photo], wanted, "torch", "fp32") == 0
    assert f"kept in {alone / 'store' / 'trained'}" in capsys.readouterr().out
    assert predict("model", [photo], wanted, "torch", "fp32") == 0  # found from now on
    assert "kept in" not in capsys.readouterr().out
    monkeypatch.setattr(os, "access", lambda *_: False)
    os.rename("store", "elsewhere")
    assert predict("model", [photo], wanted, "torch", "fp32") == 0
    assert "the converted network is not kept" in capsys.readouterr().out


def test_wrong_wishes_come_before_any_work(project: Any) -> None:
    for wrong, says in [
        ({"top": 0}, "--top: 0 is out of bounds"),
        ({"to": Path("out.txt")}, r"--to: the file's ending: '\.txt' is unknown"),
        ({"gallery": Path("/")}, "--gallery: / is a folder"),
    ]:
        with pytest.raises(UserError, match=says):
            asked(project, "no such photo", **wrong)
