"""Components by the words that choose them: the one place in src/ that composes configuration.

A command line such as `graftwork profile resnet50 --transfer linear_probe` has to mean what
`model=resnet50 transfer=linear_probe` means to the pipelines, defaults included, and conf/ is the
only home of those. So it is composed here as there; whatever comes back is typed.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

from graftwork.config.components import build
from graftwork.config.errors import UserError, nearest_first, unknown
from graftwork.experiment import Experiment
from graftwork.models.base import Model
from graftwork.models.timm_model import is_registered, registered
from graftwork.settings.trainer import Trainer
from graftwork.transfer.strategy import Transfer

CONF = Path("conf")
NEAREST = 8  # names that an error lists


def model_of(word: str, overrides: Sequence[str] = (), conf: Path = CONF) -> Model:
    """The model that `model=<word>` chooses, or timm's network of that name.

    Args:
        word: a file of conf/model, or `architecture` or `architecture.tag` of timm.
        overrides: more of them, as the pipelines take them (`model.options.depth=56`).

    Raises:
        UserError: no such word, or anything wrong in the composition.
    """
    values = _composed(conf, (*model_choice(word, conf), *overrides))["model"]
    return build(values, Model, "model")  # type: ignore[type-abstract]


def model_choice(word: str, conf: Path = CONF) -> list[str]:
    """The overrides that choose a model. Imports nothing heavy: a wrong name is refused at once."""
    named = _words(conf, "model")
    if word in named:
        return [f"model={word}"]
    if is_registered(word.partition(".")[0]):
        return ["model=timm", f"model.architecture={word}"]
    every = {*named, *registered()}
    nearest = nearest_first(word, every)[:NEAREST]
    remedy = f"(The nearest of {len(every)}; `graftwork models` shows those with a configuration.)"
    raise unknown("model", word, nearest, remedy)


def transfer_of(
    word: str | None = None, overrides: Sequence[str] = (), conf: Path = CONF
) -> Transfer:
    """The strategy that `transfer=<word>` chooses; None: the default one.

    Raises:
        UserError: no such word, or anything wrong in the composition.
    """
    choice = transfer_choice(word, conf) if word else []
    return build(_composed(conf, (*choice, *overrides))["transfer"], Transfer, "transfer")


def transfer_choice(word: str, conf: Path = CONF) -> list[str]:
    """The override that chooses a strategy. Raises UserError for a wrong name, at once."""
    if word not in (named := _words(conf, "transfer")):
        raise unknown("transfer", word, named)
    return [f"transfer={word}"]


def trainer_of(overrides: Sequence[str] = (), conf: Path = CONF) -> Trainer:
    """How training runs, by default or as overrides say: its batch size and precision."""
    return build(_composed(conf, tuple(overrides))["trainer"], Trainer, "trainer")


def experiment_of(overrides: Sequence[str] = (), conf: Path = CONF) -> Experiment:
    """The experiment that `python -m pipelines.experiment` with these overrides would run.

    Raises:
        UserError: anything wrong in the composition.
    """
    if not conf.is_dir():
        raise UserError(f"{conf}: no such folder. Run this in the project's folder.")
    return Experiment.from_params(_composed(conf, tuple(overrides)))


def _words(conf: Path, group: str) -> list[str]:
    folder = conf / group
    if not folder.is_dir():
        raise UserError(f"{folder}: no such folder. Run this in the project's folder.")
    return sorted(path.stem for path in folder.glob("[!_]*.yaml"))


@cache
def _composed(conf: Path, overrides: tuple[str, ...]) -> dict[str, Any]:
    from hydra import compose, initialize_config_dir
    from hydra.errors import HydraException
    from omegaconf import OmegaConf
    from omegaconf.errors import OmegaConfBaseException

    try:
        with initialize_config_dir(str(conf.absolute()), version_base=None):
            values: Any = OmegaConf.to_container(compose("config", list(overrides)), resolve=True)
    except (HydraException, OmegaConfBaseException) as error:
        text = re.sub(r"\s+", " ", str(error)).strip()
        if missing := re.search(r"[Mm]issing mandatory value: (\S+)", text):
            raise UserError(f"{missing[1]}: no value. Set it: {missing[1]}=...") from error
        raise UserError(f"{' '.join(overrides) or conf}: {text}") from error
    return values
