"""From folders of finished runs to tables and a page."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest
import yaml
from conftest import draw_photo
from rich.console import Console

from graftwork.comparing.command import compare
from graftwork.config.errors import UserError
from graftwork.recording.mlflow_store import open_store
from graftwork.storage.artifacts import Artifacts

PICTURES = 40
EVIL = "<script>x</script>"


@pytest.fixture
def finished(tmp_path: Path) -> Callable[..., str]:
    """`finished(name, right)`: the folder of a run that gets so many of 40 photos right."""
    draw_photo(tmp_path / "photo.jpg", (200, 40, 50), 0)

    def made(name: str, right: int, seed: int = 0) -> str:
        folder = tmp_path / f"{name}{seed}"
        (folder / "reports").mkdir(parents=True)
        said = ["a"] * right + [EVIL] * (PICTURES - right)
        paths = [str(tmp_path / "photo.jpg"), *["gone.jpg"] * (PICTURES - 1)][::-1]
        pd.DataFrame(
            {"sha256": map(str, range(PICTURES)), "path": paths, "class": "a", "predicted": said}
        ).to_parquet(folder / "reports/predictions.parquet")
        cost = {"seconds": {"finetune": 60.0}, "parameters": 1200}
        result = {"run_id": folder.name, "confidence": 0.95, "cost": cost}
        (folder / "reports/metrics.json").write_text(json.dumps(result))
        params = {"model": {"name": "net"}, "transfer": {"name": name}, "seed": seed}
        (folder / "params.yaml").write_text(yaml.safe_dump(params))
        return str(folder)

    return made


def printed(*words: str, root: Path, html: Path | None = None) -> str:
    console = Console(width=120, record=True, file=io.StringIO())
    compare(words, root, html, console)
    return console.export_text().replace("\u202f", " ")


def test_it_tells_who_is_better_and_shows_the_photos(finished, tmp_path) -> None:
    words = [finished("probe", 25), finished("tuned", 39), finished("tuned", 38, seed=1)]
    text = printed(*words, root=tmp_path, html=tmp_path / "page.html")
    assert "probe − tuned" in text and "-35.0 (" in text and "1 of 1 differences" in text
    assert "60.0 s" in text and "1.20 k" in text and "One seed" in text
    assert "Two seeds hardly tell" in text
    html = (tmp_path / "page.html").read_text()
    assert "<script" not in html and "tuned is right, probe is not: 14" in html
    assert html.count("<figure>") == 12 and "probe is right, tuned is not: 0" in html


def test_the_photos_of_a_pair_are_drawn_where_they_are(finished, tmp_path) -> None:
    printed(finished("a", 40), finished("b", 39), root=tmp_path, html=tmp_path / "p.html")
    html = (tmp_path / "p.html").read_text()
    assert html.count("data:image/jpeg") == 1 and "photo.jpg" in html
    assert f"taken for {EVIL}".replace("<", "&lt;").replace(">", "&gt;") in html


def test_a_recorded_run_is_as_good_as_its_folder(finished, tmp_path) -> None:
    first, other = finished("a", 40), finished("b", 20)
    client = open_store(None, Artifacts.at(tmp_path))
    run = client.create_run("0")
    for name in ("reports/metrics.json", "reports/predictions.parquet", "params.yaml"):
        client.log_artifact(run.info.run_id, f"{other}/{name}")
    by_id = printed(first, f"run:{run.info.run_id}", root=tmp_path)
    assert by_id == printed(first, other, root=tmp_path)
    with pytest.raises(UserError, match="there is no run 'f00'"):
        printed(first, "run:f00", root=tmp_path)


@pytest.mark.parametrize(
    ("lost", "message"),
    [
        ("reports/predictions.parquet", "its test was not looked at"),
        ("reports/metrics.json", "no metrics.json. Name a finished run"),
    ],
)
def test_what_is_no_finished_run_is_named(finished, tmp_path, lost, message) -> None:
    first, other = finished("a", 40), finished("b", 20)
    (Path(other) / lost).unlink()
    with pytest.raises(UserError, match=message):
        printed(first, other, root=tmp_path)


def test_one_run_or_one_configuration_is_nothing_to_compare(finished, tmp_path) -> None:
    with pytest.raises(UserError, match="Name two or more"):
        printed(finished("a", 40), root=tmp_path)
    with pytest.raises(UserError, match="one configuration with several seeds"):
        printed(finished("b", 40), finished("b", 39, seed=1), root=tmp_path)
