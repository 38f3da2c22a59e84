"""Photos of a folder: those that can be read, with the labels that their folders say."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from graftwork.config.errors import UserError
from graftwork.model_folder.contents import Contract, Preprocessing
from graftwork.models.base import InputSpec
from graftwork.serving.real_photos import of_folder

SPEC = InputSpec(32, (0.5,) * 3, (0.5,) * 3, "bicubic", 0.875)
SEEN = Contract(3, {}, ["a", "b"], SPEC, Preprocessing(40, 10**6), {}, None, "", {})


def test_what_cannot_be_read_is_left_out_and_counted(tmp_path: Path) -> None:
    for name in ("a/1.png", "b/2.png", "elsewhere/3.png"):
        (tmp_path / name).parent.mkdir()
        Image.fromarray(np.zeros((8, 8, 3), np.uint8)).save(tmp_path / name)
    (tmp_path / "a" / "cut.jpg").write_bytes(b"\xff\xd8\xff\xe0")
    found = of_folder(tmp_path, SEEN)
    assert [Path(ref).name for ref in found.refs] == ["1.png", "2.png", "3.png"]
    assert found.labels.tolist() == [0, 1, -1]
    assert "1 that cannot be read left out" in found.origin
    assert list(found.calibration) == list(found.refs)


def test_a_folder_without_a_readable_photo_is_refused(tmp_path: Path) -> None:
    (tmp_path / "page.jpg").write_text("<html>")
    with pytest.raises(UserError, match="--photos: none of 1 photos in .* can be read"):
        of_folder(tmp_path, SEEN)
