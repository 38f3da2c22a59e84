"""Jobs of one process: what one has prepared is taken over, until anything changes."""

from __future__ import annotations

import shutil

import pytest
from conftest import draw_photo

from graftwork.data import manifest
from graftwork.data.preparing import preparation
from graftwork.data.preparing.preparation import prepare
from graftwork.experiment import Experiment
from graftwork.storage.artifacts import Artifacts


@pytest.fixture
def looked(monkeypatch) -> list[int]:
    """How often all files were looked at."""
    calls: list[int] = []
    original = preparation.examine_all

    def counted(*arguments, **named):
        calls.append(1)
        return original(*arguments, **named)

    monkeypatch.setattr(preparation, "examine_all", counted)
    return calls


@pytest.fixture
def job(tmp_path, tiny_params):
    """`job(name, *overrides)`: prepares in a folder of its own, the store shared."""

    def prepared(name: str, *overrides: str) -> Artifacts:
        artifacts = Artifacts.at(tmp_path / name, shared=tmp_path / "project")
        prepare(Experiment.from_params(tiny_params(*overrides)).dataset, artifacts)
        return artifacts

    return prepared


def test_the_second_job_takes_over_the_same_files(job, looked):
    first, second = job("first"), job("second")
    assert len(looked) == 1
    for name in ("manifest", "classes", "data_report"):
        assert getattr(first, name).read_bytes() == getattr(second, name).read_bytes()


def test_a_changed_an_added_and_a_removed_picture_are_noticed(job, looked, tiny_folder):
    photo = tiny_folder / "train" / "red" / "0.jpg"
    before = manifest.read(job("before").manifest)
    draw_photo(photo, (200, 40, 50), seed=999)
    changed = manifest.read(job("changed").manifest)
    assert set(before["sha256"]) - set(changed["sha256"]), "the new content has another hash"
    draw_photo(photo.with_name("new.jpg"), (200, 40, 50), seed=1000)
    assert len(manifest.read(job("added").manifest)) == len(before) + 1
    photo.unlink()
    assert len(manifest.read(job("removed").manifest)) == len(before)
    assert len(looked) == 4


def test_other_parameters_are_other_data(job, looked):
    job("one")
    job("other", "dataset.decoded_side=16")
    assert len(looked) == 2


def test_results_and_decoded_pictures_that_are_gone_are_made_again(job, looked, tmp_path):
    first = job("first")
    first.manifest.write_bytes(b"damaged")
    assert len(manifest.read(job("second").manifest)) == 48
    shutil.rmtree(tmp_path / "project" / "store")
    job("third")
    assert len(looked) == 3 and any((tmp_path / "project" / "store").rglob("*.bin"))
