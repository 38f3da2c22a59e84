"""Files that were fetched or unpacked, damaged: brought again, or named."""

from __future__ import annotations

import hashlib
import warnings
import zipfile
from contextlib import nullcontext
from pathlib import Path

import cv2
import numpy as np
import pytest
from finished_project import DAMAGES
from published_file import of_file

from graftwork.config.errors import UserError
from graftwork.data.preparing import earlier_verdicts
from graftwork.data.preparing.preparation import prepare as prepare_data
from graftwork.data.sources.fetching import Pin, obtain
from graftwork.data.sources.first_use import UnpinnedWarning, trusted
from graftwork.models.weights import read_tensors
from graftwork.storage.artifacts import Artifacts
from graftwork.storage.files import DamageWarning


@pytest.mark.parametrize("damage", DAMAGES)
@pytest.mark.parametrize("name", ["0002.png", "flower_labels.csv", "source.json", "sha256.txt"])
def test_damaged_pictures_of_a_published_set_are_unpacked_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, damage: str
) -> None:
    table = "file,label\n" + "".join(f"{n:04d}.png,{n % 3}\n" for n in range(1, 16))
    with zipfile.ZipFile(tmp_path / "f.zip", "w") as zipped:
        for number in range(1, 16):
            picture = np.random.default_rng(number).integers(0, 255, (9, 9, 4), np.uint8)
            zipped.writestr(f"flower_images/{number:04d}.png", cv2.imencode(".png", picture)[1])
        zipped.writestr("flower_images/flower_labels.csv", table)
    dataset = of_file("small_flowers", tmp_path / "f.zip")
    artifacts = Artifacts.at(tmp_path / "project")
    raw = artifacts.raw(dataset.name)

    def prepared() -> bytes:
        monkeypatch.setattr(earlier_verdicts, "_written", {})  # as another process would
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            dataset.download(raw, artifacts.downloads)
            prepare_data(dataset, artifacts)
        return artifacts.manifest.read_bytes()

    before = prepared()
    whole = {path.name: path.read_bytes() for path in raw.rglob("*.*")}
    DAMAGES[damage](next(raw.rglob(name)))
    assert prepared() == before
    assert {path.name: path.read_bytes() for path in raw.rglob("*.*")} == whole


@pytest.mark.parametrize("damage", DAMAGES)
def test_what_was_trusted_once_is_not_trusted_anew_without_a_word(
    tmp_path: Path, damage: str
) -> None:
    def use() -> bytes:
        fetch = lambda path: path.write_bytes(b"weights")  # noqa: E731
        return trusted(tmp_path, Pin(None, None), "hub:x", "hub: x", "w.bin", fetch).read_bytes()

    with pytest.warns(UnpinnedWarning):
        use()
    DAMAGES[damage](tmp_path / "first_use/hub_x.json")
    if damage == "deleted":
        with pytest.warns(UnpinnedWarning):
            assert use() == b"weights"
    else:
        with pytest.raises(UserError, match="hub_x.json: damaged .* pin the file"):
            use()


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_download_is_fetched_again(tmp_path: Path, damage: str) -> None:
    content = b"weights" * 9
    pin = Pin(len(content), hashlib.sha256(content).hexdigest())
    use = lambda: obtain(tmp_path, pin, "w.bin", "here", lambda to: to.write_bytes(content))  # noqa: E731
    DAMAGES[damage](use())
    with nullcontext() if damage == "deleted" else pytest.warns(DamageWarning, match=r"w\.bin"):
        assert use().read_bytes() == content
    assert use().read_bytes() == content


@pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
def test_a_file_that_is_no_weights_is_named(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"w{suffix}"
    for content in (
        b"",
        b"hello\n",
        b"{}",
        b"\x80\x02",
        b"PK\x03\x04",
        b"I1\n",
        b"\x80\x02K",
        b"(lp",
    ):
        path.write_bytes(content)
        with pytest.raises(UserError, match=r"w\.\w+ cannot be read as weights"):
            read_tensors(path)
