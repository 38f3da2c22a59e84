"""The README's ten lines for each format, in a process that has the runtime and Pillow alone."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from untrained_model import untrained

from graftwork.serving.exporting import Wanted, export
from graftwork.serving.formats import FORMATS, named
from graftwork.serving.predictor import Predictor
from graftwork.serving.real_photos import of_folder

README = (Path(__file__).parents[2] / "README.md").read_text("utf-8")
ALONE = """
import sys
assert not {"graftwork", "timm", "torchvision", *FORBIDDEN} & set(sys.modules)
"""


def snippet(file: str) -> str:
    (found,) = (
        code for code in re.findall(r"```python\n(.*?)```", README, re.S) if f'"{file}"' in code
    )
    assert len(found.splitlines()) <= 13
    return str(found)


@pytest.mark.slow
@pytest.mark.parametrize("name", FORMATS)
def test_it_answers_as_the_model_does(
    name: str, tmp_path: Path, tiny_params: Callable[..., dict[str, Any]]
) -> None:
    _, artifacts, frame = untrained(tiny_params(), tmp_path)
    predictor = Predictor(artifacts.model)
    photos = of_folder(tmp_path / "photos" / "test", predictor._contract)
    export(artifacts.model, Wanted(name, "fp32", "photos"), photos, tmp_path)
    content = Path(frame["path"].iloc[0]).read_bytes()
    (tmp_path / "photo.jpg").write_bytes(content)
    forbidden = "()" if name.startswith("torch") else '("torch",)'
    code = snippet(named(name).files[0]) + ALONE.replace("FORBIDDEN", forbidden)
    done = subprocess.run(
        [sys.executable, "-I", "-c", code], cwd=tmp_path, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    answer, chance = done.stdout.split()
    expected = predictor.probabilities([content])[0]
    assert answer == predictor.classes[expected.argmax()]
    assert float(chance) == pytest.approx(float(expected.max()), abs=0.02)
