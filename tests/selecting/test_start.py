from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from graftwork.selecting.start import Start


def start(held_out: bool = True) -> Start:
    random = np.random.default_rng(0)
    weight, bias, found = (random.normal(size=s).astype(np.float32) for s in ((3, 5), 3, (7, 3)))
    return Start(weight, bias, found if held_out else None)


@pytest.mark.parametrize("held_out", [True, False])
def test_what_is_written_is_read(tmp_path: Path, held_out: bool) -> None:
    path = tmp_path / "reports" / "start.safetensors"
    known = start(held_out)
    known.write(path)
    found = Start.read(path)
    assert found is not None
    np.testing.assert_array_equal(found.weight, known.weight)
    np.testing.assert_array_equal(found.bias, known.bias)
    assert found.weight.dtype == found.bias.dtype == np.float32
    if held_out:
        np.testing.assert_array_equal(found.held_out, known.held_out)
    else:
        assert found.held_out is None


def test_any_layout_and_precision_is_written_as_it_reads(tmp_path: Path) -> None:
    known = start()
    turned = Start(np.asfortranarray(known.weight), known.bias.astype(np.float64), None)
    turned.write(tmp_path / "start.safetensors")
    found = Start.read(tmp_path / "start.safetensors")
    assert found is not None and found.bias.dtype == np.float32
    np.testing.assert_array_equal(found.weight, known.weight)


def test_where_none_was_written_there_is_none(tmp_path: Path) -> None:
    assert Start.read(tmp_path / "start.safetensors") is None


def test_the_logits_are_those_of_a_linear_head_in_double_precision() -> None:
    known = Start(np.array([[1, 2], [0, -1]], np.float32), np.array([0.5, -1], np.float32), None)
    found = known.logits(np.array([[1, 1], [2, 0]], np.float32))
    assert found.dtype == np.float64
    assert found.tolist() == [[3.5, -2], [2.5, -1]]
    large = Start(np.array([[1e8, 1, -1e8]], np.float32), np.zeros(1, np.float32), None)
    assert large.logits(np.ones((1, 3), np.float32)) == 1, "single precision loses it"
