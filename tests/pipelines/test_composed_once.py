"""What a sweep's jobs are composed of: the same as Hydra's own, in a fraction of the time."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hydra import initialize_config_dir
from hydra.core.config_loader import ConfigLoader
from hydra.core.global_hydra import GlobalHydra
from hydra.errors import ConfigCompositionException
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf

from pipelines.composed_once import ComposedOnce

FILES = {
    "config.yaml": """
defaults: [{model: small}, {trainer: default}, _self_, {optional experiment: null}]
seed: 0
told: ${seed} of ${model.name}
hydra: {job: {config: {override_dirname: {exclude_keys: [seed]}}}}
""",
    "model/small.yaml": "{name: small, widths: [1, 2], head: {bias: true}}",
    "model/large.yaml": "{name: large, widths: [3], head: null}",
    "trainer/default.yaml": "{batch_size: 8, path: '???', options: {}}",
    "trainer/quick.yaml": "defaults: [default]\nbatch_size: 64",
    "experiment/best.yaml": "# @package _global_\nseed: 3",
    "seeds/one.yaml": "# @package _global_\nseed: 1",
}
ELSEWHERE = "extra/more.yaml"
JOBS = [
    ["seed=1"],
    ["seed=2"],
    ["model=large", "seed=2"],
    ["seed=2", "model=large", "model.widths=[4,5]"],
    ["model.widths=[]", "model.name=${trainer.path}", "trainer.path=a b"],
    ["+model.head.deep=1", "model.head.bias=false", "model.head.deep=2"],
    ["~model.head.bias", "++model.head.bias=7"],
    ["model.head={bias: null}", "+trainer.options={a: 1}"],
    ["trainer=quick", "experiment=best"],
    ["experiment=best", "trainer.batch_size=2"],
    ["+seeds=one", "model=small"],
    ["+extra=more", "seed=2"],
    ["+extra@model=more", "~trainer"],
    [],
]


@pytest.fixture
def loader(tmp_path: Path) -> Iterator[ConfigLoader]:
    for name, text in FILES.items():
        path = tmp_path / "conf" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    (tmp_path / "more" / ELSEWHERE).parent.mkdir(parents=True)
    (tmp_path / "more" / ELSEWHERE).write_text("note: more")
    with initialize_config_dir(str(tmp_path / "conf"), version_base=None):
        yield GlobalHydra.instance().config_loader()


def master(loader: ConfigLoader, tmp_path: Path, *hydras: str) -> DictConfig:
    search = f"hydra.searchpath=[file://{tmp_path / 'more'}]"
    return loader.load_configuration("config", [search, *hydras], RunMode.MULTIRUN)


def plain(config: DictConfig) -> Any:
    return OmegaConf.to_container(config)


def test_every_job_is_composed_as_hydra_does(loader, tmp_path):
    whole = master(loader, tmp_path, "hydra.job.config.override_dirname.item_sep=';'")
    once = ComposedOnce(loader)
    for job in [*JOBS, *JOBS]:
        wanted, found = (each.load_sweep_config(whole, job) for each in (loader, once))
        assert plain(found) == plain(wanted), job
        assert OmegaConf.is_struct(found) and not OmegaConf.is_readonly(found.hydra)
    assert found.told == wanted.told == "0 of small"


def test_jobs_that_differ_in_values_are_composed_once(loader, tmp_path, monkeypatch):
    whole, once = master(loader, tmp_path), ComposedOnce(loader)
    calls: list[list[str]] = []
    real = once.load_configuration

    def counted(**arguments: Any) -> DictConfig:
        calls.append(arguments["overrides"][1:])
        return real(**arguments)

    monkeypatch.setattr(once, "load_configuration", counted)
    for seed in range(3):
        for model in ("small", "large"):
            once.load_sweep_config(whole, [f"model={model}", f"seed={seed}", "trainer.path=x"])
    assert calls == [["model=small"], ["model=large"]]


@pytest.mark.parametrize("wrong", ["model.nme=1", "seeed=1", "model=none"])
def test_what_is_wrong_is_said_as_by_hydra(loader, tmp_path, wrong):
    whole, once = master(loader, tmp_path), ComposedOnce(loader)
    said = []
    for each in (loader, once):
        with pytest.raises(ConfigCompositionException) as error:
            each.load_sweep_config(whole, ["seed=1", wrong])
        said.append(str(error.value))
    assert said[0] == said[1]
