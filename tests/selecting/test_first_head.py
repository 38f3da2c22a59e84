from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from graftwork.config.errors import UserError
from graftwork.models.heads import Linear, Mlp
from graftwork.selecting.first_head import FirstHead

KIND = Linear(init_std=0.01)


def linear(weight: object, bias: object) -> FirstHead:
    tensors = {"weight": np.array(weight, np.float32), "bias": np.array(bias, np.float32)}
    return FirstHead(KIND, tensors, len(tensors["bias"]), None)


def start(held_out: bool = True) -> FirstHead:
    random = np.random.default_rng(0)
    weight, bias, found = (random.normal(size=s).astype(np.float32) for s in ((3, 5), 3, (7, 3)))
    return FirstHead(KIND, {"weight": weight, "bias": bias}, 3, found if held_out else None)


@pytest.mark.parametrize("held_out", [True, False])
def test_what_is_written_is_read(tmp_path: Path, held_out: bool) -> None:
    path = tmp_path / "reports" / "start.safetensors"
    known = start(held_out)
    known.write(path)
    found = FirstHead.read(path)
    assert found is not None
    assert (found.head, found.num_classes, found.tensors.keys()) == (KIND, 3, known.tensors.keys())
    for name, tensor in known.tensors.items():
        np.testing.assert_array_equal(found.tensors[name], tensor)
        assert found.tensors[name].dtype == np.float32
    if held_out:
        np.testing.assert_array_equal(found.held_out, known.held_out)
    else:
        assert found.held_out is None


def test_a_head_of_any_kind_is_written(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    shapes = {"hidden.weight": (4, 5), "hidden.bias": 4, "out.weight": (3, 4), "out.bias": 3}
    tensors = {name: random.normal(size=shape).astype(np.float32) for name, shape in shapes.items()}
    known = FirstHead(Mlp(hidden=4, dropout=0.5, init_std=0.1), tensors, 3, None)
    known.write(tmp_path / "start.safetensors")
    found = FirstHead.read(tmp_path / "start.safetensors")
    assert found is not None and found.head == known.head
    features = random.normal(size=(6, 5)).astype(np.float32)
    np.testing.assert_array_equal(found.logits(features), known.logits(features))


def test_any_layout_is_written_as_it_reads(tmp_path: Path) -> None:
    known = start()
    turned = {**known.tensors, "weight": np.asfortranarray(known.tensors["weight"])}
    FirstHead(KIND, turned, 3, None).write(tmp_path / "start.safetensors")
    found = FirstHead.read(tmp_path / "start.safetensors")
    assert found is not None
    np.testing.assert_array_equal(found.tensors["weight"], known.tensors["weight"])


def test_where_none_was_written_there_is_none(tmp_path: Path) -> None:
    assert FirstHead.read(tmp_path / "start.safetensors") is None


def test_a_file_of_an_earlier_version_names_its_remedy(tmp_path: Path) -> None:
    save_file({"weight": np.eye(3), "bias": np.zeros(3)}, tmp_path / "start.safetensors")
    with pytest.raises(UserError, match="does not say what head it is. Run the stage finetune"):
        FirstHead.read(tmp_path / "start.safetensors")


def test_the_logits_are_those_of_a_linear_head_in_double_precision() -> None:
    known = linear([[1, 2], [0, -1]], [0.5, -1])
    found = known.logits(np.array([[1, 1], [2, 0]], np.float32))
    assert found.dtype == np.float64
    assert found.tolist() == [[3.5, -2], [2.5, -1]]
    large = linear([[1e8, 1, -1e8]], [0])
    assert large.logits(np.ones((1, 3), np.float32)) == 1, "single precision loses it"
