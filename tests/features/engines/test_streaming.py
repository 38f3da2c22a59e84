from __future__ import annotations

import io

import numpy as np
import pytest
from numbered_pictures import SPEC, Numbered, pictures
from rich.console import Console

from graftwork.features.engines.streaming import stream
from graftwork.process import progress


def engine(images: np.ndarray) -> np.ndarray:
    assert len(images) == 4, "always a full batch"
    return images[:, 0, 0, :2].astype(np.float32)


def test_every_picture_once_in_order_and_nothing_for_the_filling() -> None:
    found = list(stream(engine, pictures(6), Numbered(), SPEC, 4))  # type: ignore[arg-type]
    assert [key for key, _ in found] == [str(number) for number in range(6)]
    assert [features.tolist() for _, features in found] == [[n, n] for n in range(6)]


def test_a_terminal_sees_the_progress(monkeypatch: pytest.MonkeyPatch) -> None:
    screen = io.StringIO()
    monkeypatch.setattr(
        progress, "Console", lambda stderr: Console(file=screen, force_terminal=True, width=120)
    )
    list(stream(engine, pictures(40), Numbered(), SPEC, 4))  # type: ignore[arg-type]
    assert "Extracting features" in screen.getvalue()
    assert "40/40" in screen.getvalue()
    assert "images/s" in screen.getvalue()


def test_nobody_watching_nothing_printed(capsys: pytest.CaptureFixture[str]) -> None:
    list(stream(engine, pictures(6), Numbered(), SPEC, 4))  # type: ignore[arg-type]
    assert capsys.readouterr() == ("", "")
