from __future__ import annotations

from pathlib import Path

import pytest
from conftest import CONF
from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf

from graftwork.config.errors import UserError, check_range
from pipelines.overrides import check_all, quoted, requested

FILES = {
    "config.yaml": """
defaults: [{model: small}, {trainer: default}, _self_, {optional experiment: null}]
seed: 0
hydra: {sweep: {dir: "runs/${now:%f}"}, run: {dir: runs/one}}
""",
    "model/_base.yaml": "name: none",
    "model/small.yaml": "{name: small, head: {bias: true}}",
    "model/large.yaml": "defaults: [_base]",
    "model/huge.yaml": "name: ${nowhere.at.all}",
    "model/head/linear.yaml": "kind: linear",
    "trainer/default.yaml": "{batch_size: 8, path: '???', options: {}}",
    "experiment/best.yaml": "# @package _global_\nseed: 3",
    "experiment/2024/old.yaml": "# @package _global_\nseed: 4",
    "experiment/broken.yaml": "# @package _global_\nseed: [",
}


@pytest.fixture
def conf(tmp_path: Path) -> Path:
    for name, text in FILES.items():
        path = tmp_path / "conf" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return tmp_path / "conf"


def seeds_are_positive(params):
    check_range("seed", params["seed"], 0)


WRONG = [
    (["model=smal"], ["model: 'smal'", "Did you mean 'small'", "large"]),
    (["-m", "model=small,larg"], ["'larg'", "Did you mean 'large'"]),
    (["-m", "model=large", "model=small,large"], ["model: said 2 times: model=large", "once"]),
    (["model=_base"], ["'_base'", "Legal"]),
    (["model/head=liner"], ["model/head", "Did you mean 'linear'"]),
    (["modle/head=linear"], ["group: 'modle/head'", "Did you mean 'model/head'"]),
    (["+experiment=best"], ["experiment=... without the plus"]),
    (["experiment=null"], ["experiment", "Legal: "]),
    (["+experiment=bst"], ["experiment", "Did you mean 'best'"]),
    (["+experiment=2024/odl"], ["2024/odl"]),
    (["+experiment=[best,bst]"], ["'bst'", "Did you mean 'best'"]),
    (["mode=small"], ["'mode'", "Did you mean 'model'"]),
    (["seeed=3"], ["Did you mean 'seed'"]),
    (["trainer.batchsize=3"], ["trainer.batchsize", "Did you mean 'batch_size'"]),
    (["-m", "trainer.batchsize=3,4"], ["trainer.batchsize", "Did you mean 'batch_size'"]),
    (["model.head.bais=false"], ["model.head.bais", "Did you mean 'bias'"]),
    (["model={head: {bais: false}}"], ["model.head.bais", "Did you mean 'bias'"]),
    (["trainer.options.depth=2"], ["'depth' is unknown", "write +trainer.options.depth=2"]),
    (["trainer.options={a: 1}"], ["options.a", "write +trainer.options={a: 1}"]),
    (["~trainer.batchsize"], ["trainer.batchsize", "Did you mean 'batch_size'"]),
    (["+trainr.batch_size=3"], ["Did you mean 'trainer'"]),
    (["hydra.run.dirr=x"], ["hydra.run.dirr", "Did you mean 'dir'"]),
    (["hydra/launcher=bsic"], ["Did you mean 'basic'"]),
    (["seed=-1"], ["seed: -1", ">= 0"]),
    (["-m", "seed=1,-1,2"], ["seed: -1", "In: seed=-1"]),
    (["-m", "seed=range(20,-2,-1)"], ["seed: -1", "In: seed=-1"]),
    (["seed=1,2"], ["seed=1,2", "Add -m"]),
    (["seed=("], ["seed=(", "key=value"]),
    (["seed"], ["'seed'", "key=value"]),
    (["+model.copy=${trainer.path}"], ["trainer.path: no value", "trainer.path=..."]),
    (["model=huge"], ["model=huge", "nowhere"]),
    (["+experiment=broken"], ["experiment=broken"]),
    (["+api_token=3"], ["secret", "environment"]),
    (["seed=${oc.env:HOME}"], ["seed: ${oc.env:HOME}", "would be written", "value itself"]),
    (["+trainer.options={a: ['${oc.env:HOME,1}']}"], ["trainer.options.a: ${oc.env:HOME,1}"]),
    (["--multi-run", "seed=3"], ["--multi-run", "Did you mean '--multirun'"]),
    (["--experimental-rerun", "x.pickle"], ["unpickles"]),
    (["--config-dir", "not/there"], ["not/there", "no such folder"]),
]


@pytest.mark.parametrize(("arguments", "words"), WRONG, ids=lambda item: " ".join(item)[:40])
def test_wrong_input_is_named_with_the_nearest_legal_name_first(conf, arguments, words):
    with pytest.raises(UserError) as caught:
        requested(arguments, seeds_are_positive, conf)
    assert all(word in str(caught.value) for word in words), caught.value
    assert "\n" not in str(caught.value)


ALONE = [
    (["seed=1", "model=huge", "trainer.path=x"], "model=huge: "),
    (["seed=1", "+experiment=broken", "trainer.path=x"], "+experiment=broken: "),
    (["trainer.batch_size=1", "+seed=2", "trainer.path=x"], "+seed=2: "),
    (["model=huge", "seed=1", "trainer.path=${no.where}"], "model=huge: "),
    (["-m", "model=small,huge", "seed=1,2", "trainer.path=x"], "model=huge: "),
]


@pytest.mark.parametrize(("arguments", "begins"), ALONE, ids=lambda item: "".join(item)[:40])
def test_the_override_that_is_wrong_is_named_alone(conf, arguments, begins):
    with pytest.raises(UserError) as caught:
        requested(arguments, seeds_are_positive, conf)
    assert str(caught.value).startswith(begins)
    assert "seed=1" not in str(caught.value) and "trainer.path=x" not in str(caught.value)


RIGHT = [
    ["+trainer.options.depth=2"],
    ["+trainer.options={a: 1}"],
    [],
    ["model=large"],
    ["~model.head"],
    ["+model.head.depth=3"],
    ["experiment=best"],
    ["experiment=2024/old"],
    ["model={name: other}"],
    ["++trainer.more=[1,2]"],
    ["trainer.path='a b,c'"],
    ["hydra.run.dir=elsewhere"],
]


@pytest.mark.parametrize("overrides", RIGHT, ids=" ".join)
def test_right_input_is_one_experiment(conf, overrides):
    seen = []
    request = requested(overrides, seen.append, conf)
    assert request is not None and request.sweep_folder is None and not request.swept
    assert len(seen) == 1 and "hydra" not in seen[0]
    check_all(overrides, seen.append, conf)
    assert seen[0] == seen[1]


def test_every_choice_of_a_sweep_is_checked_once(conf, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    seen = []
    arguments = ["-m", "model=small,large", "seed=1,2,3"]
    request = requested(arguments, seen.append, conf)
    assert [(p["model"].get("name"), p["seed"]) for p in seen] == [
        ("small", 1), ("none", 1), ("small", 2), ("small", 3),
    ]  # fmt: skip
    assert request.swept == {"model": ["small", "large"], "seed": ["1", "2", "3"]}
    assert request.sweep_folder.parent == tmp_path / "runs"


VALUES = [
    ["trainer.batch_size=4,5", "model=large"],
    ["trainer.path=a,'b c',null", "trainer.batch_size=3"],
    ["model.head.bias=true,false", "model={name: other}"],  # a value within another value
    ["+trainer.more=[1],[2]"],
    ["seed=1,2", "trainer={path: '${seed}'}"],
]


@pytest.mark.parametrize("overrides", VALUES, ids=" ".join)
def test_what_is_checked_is_what_composing_anew_gives(conf, overrides):
    """The check sets values into one composition; the jobs compose each on their own."""
    seen = []
    requested(["-m", *overrides], seen.append, conf)
    swept, others = overrides[0], overrides[1:]
    key, _, choices = swept.partition("=")
    for params, choice in zip(seen, choices.split(","), strict=True):
        with initialize_config_dir(str(conf), version_base=None):
            config = compose("config", [f"{key}={choice}", *others])
        assert params == OmegaConf.to_container(config, resolve=True)


def test_a_glob_and_a_mode_make_a_sweep(conf):
    seen = []
    request = requested(["hydra.mode=MULTIRUN", "model=glob([s*,l*])"], seen.append, conf)
    assert request.swept == {"model": ["large", "small"]} and request.sweep_folder is not None


def test_what_shows_but_does_not_run(conf):
    for arguments in (["--help"], ["--info"], ["--cfg", "job"], ["--hydra-help"]):
        assert requested(arguments, seeds_are_positive, conf) is None
    with pytest.raises(UserError):
        requested(["--cfg", "job", "seed=-1"], seeds_are_positive, conf)


def test_another_configuration_folder_adds_options(conf, tmp_path):
    own = tmp_path / "my own" / "model"
    own.mkdir(parents=True)
    (own / "mine.yaml").write_text("name: mine")
    seen = []
    requested(["--config-dir", str(own.parent), "model=mine"], seen.append, conf)
    assert seen[0]["model"]["name"] == "mine"


def test_quoting_survives_hydras_grammar(conf):
    seen = []
    for text in ("a b", "it's", "x,y={1}", "back\\slash\\"):
        requested([f"trainer.path={quoted(text)}"], seen.append, conf)
        assert seen[-1]["trainer"]["path"] == text


FOLDERS = [["hydra.run.dir=runs/x"], ["-m", "hydra.sweep.subdir=z"], ["hydra.job.name=a"]]


@pytest.mark.parametrize("arguments", FOLDERS, ids=" ".join)
def test_the_real_configurations_folders_can_be_named(arguments):
    seen = []
    assert requested(arguments, seen.append) is not None and len(seen) == 1
    assert requested([*arguments, "--cfg", "job"], seen.append) is None


def test_the_real_configuration_gives_jobs_folders_of_their_own():
    seen = []
    first = requested(["-m", "seed=0,1"], seen.append, CONF)
    second = requested(["-m", "seed=0,1"], seen.append, CONF)
    assert first.sweep_folder != second.sweep_folder
    assert seen[0].keys() >= {"dataset", "model", "transfer"} and "hydra" not in seen[0]
