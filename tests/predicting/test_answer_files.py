"""Files of answers grow, are gone on with after a kill, and hold one model's answers."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest

from graftwork.config.errors import UserError
from graftwork.predicting import parquet_file
from graftwork.predicting.answer_files import answer_file
from graftwork.predicting.rows import Answer, Kept

CLASSES = ["=1+1", "a\nb", "c"]
CHANCES = np.array([[0.1, 0.7, 0.2], [0.5, 0.2, 0.3], [1e-9, 0, 1], [0.3, 0.3, 0.4]], np.float32)
ROWS = [Answer(f"=p/{n}\n.jpg", f"{n}" * 64, row) for n, row in enumerate(CHANCES)]


def file(path: Path, model: str = "m") -> Any:
    return answer_file(path, CLASSES, model, top=2)


def earlier(path: Path, model: str = "m") -> list[Kept]:
    with file(path, model) as opened:
        return list(opened.earlier())


def append(path: Path, *rows: Answer) -> None:
    with file(path) as opened:
        list(opened.earlier())
        for row in rows:
            opened.append([row])


@pytest.mark.parametrize("ending", ["csv", "jsonl", "parquet"])
def test_rows_come_back_as_they_were_and_more_are_added(tmp_path: Path, ending: str) -> None:
    path = tmp_path / f"out.{ending}"
    append(path, *ROWS[:2])
    append(path, *ROWS[2:])
    found = earlier(path)
    assert [kept.key for kept in found] == [f"=p/{n}\\n.jpg" for n in range(4)]
    assert [kept.sha256 for kept in found] == [row.sha256 for row in ROWS]
    assert [kept.predicted for kept in found] == ["a\nb", "=1+1", "c", "c"]
    assert np.float32([kept.probability for kept in found]).tolist() == CHANCES.max(1).tolist()
    assert sorted(entry.name for entry in tmp_path.iterdir()) == [path.name]
    with pytest.raises(UserError, match=r"holds answers of another model \(m, this one is other"):
        earlier(path, "other")


def test_text_files_have_the_likeliest_classes_and_no_formulas(tmp_path: Path) -> None:
    append(tmp_path / "out.csv", *ROWS)
    lines = (tmp_path / "out.csv").read_text().splitlines()
    assert lines[0] == "path,sha256,predicted,probability,class_2,probability_2,model"
    assert lines[2] == f"'=p/1\\n.jpg,{'1' * 64},'=1+1,0.5,c,0.3,m"
    append(tmp_path / "out.jsonl", *ROWS)
    first = json.loads((tmp_path / "out.jsonl").read_text().splitlines()[0])
    assert first["top"] == [["a\nb", 0.7], ["c", 0.2]] and first["predicted"] == "a\nb"


def test_parquet_has_all_probabilities_to_the_bit(tmp_path: Path) -> None:
    append(tmp_path / "out.parquet", *ROWS)
    table = pq.read_table(tmp_path / "out.parquet")
    chances = np.stack(table["probabilities"].to_numpy())
    assert chances.dtype == np.float32 and np.array_equal(chances, CHANCES)
    assert json.loads(table.schema.metadata[b"classes"]) == CLASSES


@pytest.mark.parametrize("ending", ["csv", "jsonl"])
@pytest.mark.parametrize("cut", [1, 30, 90])
def test_a_line_that_a_kill_cut_is_asked_again(tmp_path: Path, ending: str, cut: int) -> None:
    path = tmp_path / f"out.{ending}"
    append(path, *ROWS[:3])
    whole = path.read_bytes()
    path.write_bytes(whole[:-cut])
    assert len(earlier(path)) == 2
    append(path, ROWS[2])
    assert path.read_bytes() == whole
    path.write_bytes(whole[:20])  # within the header
    assert earlier(path) == [] and path.read_bytes() == b""


def test_parts_of_a_killed_start_count_once(tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.setattr(parquet_file, "PART", 2)
    path = tmp_path / "out.parquet"
    killed = file(path)
    killed.append(ROWS[:2])
    killed.append(ROWS[2:3])  # waits in memory, and is lost
    assert [kept.sha256[0] for kept in earlier(path)] == ["0", "1"]
    # Killed between the two last steps of joining: the parts are still there.
    (tmp_path / ".out.parquet.parts").mkdir(exist_ok=True)
    joined = json.loads(pq.read_schema(path).metadata[b"joined"])
    pq.write_table(pq.read_table(path), tmp_path / ".out.parquet.parts" / joined[-1])
    append(path, ROWS[2])
    assert [kept.sha256[0] for kept in earlier(path)] == ["0", "1", "2"]


def test_what_is_no_such_file_is_left_alone(tmp_path: Path) -> None:
    for name in ("a.csv", "b.jsonl", "c.parquet"):
        (tmp_path / name).write_text("what is this?\nnothing\n")
        with pytest.raises(UserError, match=f"{name} is no file of such answers"):
            earlier(tmp_path / name)
        assert (tmp_path / name).read_text() == "what is this?\nnothing\n"
    with pytest.raises(UserError, match=r"'\.xlsx' is unknown.*\.csv"):
        file(tmp_path / "d.xlsx")


def test_one_writes_at_a_time(tmp_path: Path) -> None:
    with (
        file(tmp_path / "out.csv"),
        pytest.raises(UserError, match="another process writes into"),
        file(tmp_path / "out.csv"),
    ):
        pass
