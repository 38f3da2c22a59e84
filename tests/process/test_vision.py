from __future__ import annotations

from pathlib import Path

import pytest
import torch

from graftwork.process import vision


def test_timm_and_torchvision_import() -> None:
    from graftwork.process.vision import timm, torchvision

    assert timm.is_model("resnet18") and torchvision.__version__


def test_operators_that_exist_are_left_alone(tmp_path: Path) -> None:
    assert hasattr(torch.ops.torchvision, "nms")
    assert vision.cure(tmp_path) is None


def test_a_library_that_cannot_be_loaded_counts_as_absent(tmp_path: Path) -> None:
    assert not vision.compiled_operators_load(tmp_path)
    (tmp_path / "_C.so").write_bytes(b"no library")
    assert not vision.compiled_operators_load(tmp_path)


def test_a_library_that_loads_makes_the_cure_unnecessary(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "_C.so").touch()
    loaded: list[str] = []
    monkeypatch.setattr(torch.ops, "load_library", loaded.append)
    monkeypatch.setattr(vision, "SCHEMAS", None)  # would fail if they were declared
    monkeypatch.setattr(torch.ops, "torchvision", object(), raising=False)
    assert vision.cure(tmp_path) is None
    assert loaded == [str(tmp_path / "_C.so")]


def test_absent_operators_are_declared(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    declared: list[str] = []

    class Recorder:
        def __init__(self, namespace: str, kind: str) -> None:
            assert (namespace, kind) == ("torchvision", "DEF")

        def define(self, schema: str) -> None:
            declared.append(schema)

    monkeypatch.setattr(vision, "Library", Recorder)
    monkeypatch.setattr(torch.ops, "torchvision", object(), raising=False)
    assert isinstance(vision.cure(tmp_path), Recorder)
    assert [schema.split("(")[0] for schema in declared] == ["nms", "qnms"]
