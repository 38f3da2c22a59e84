"""Composing a configuration; of what goes wrong, the override to blame and Hydra's own words."""

from __future__ import annotations

import re

import yaml
from hydra import compose
from hydra.errors import HydraException
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from graftwork.config.errors import UserError

MISTAKES = (HydraException, OmegaConfBaseException, yaml.YAMLError, ValueError)


def composed(name: str, overrides: list[str], *, whole: bool = True) -> DictConfig:
    """The configuration, with Hydra's own node if `whole`. Raises UserError for what is wrong."""
    try:
        return compose(name, overrides, return_hydra_config=whole)
    except MISTAKES as error:
        raise mistake(error, culprits(name, overrides)) from error


def culprits(name: str, overrides: list[str]) -> list[str]:
    """The override that is wrong: without it all is right, or else it is wrong alone."""
    for place, line in enumerate(overrides):
        if _composes(name, [*overrides[:place], *overrides[place + 1 :]]):
            return [line]
    if not _composes(name, []):  # none is: the files themselves are
        return []
    return next(([line] for line in overrides if not _composes(name, [line])), overrides)


def _composes(name: str, overrides: list[str]) -> bool:
    try:
        OmegaConf.to_container(compose(name, overrides), resolve=True)
    except MISTAKES:
        return False
    return True


def mistake(error: Exception, overrides: list[str]) -> UserError:
    """Hydra's own words, on one line."""
    text = re.sub(r"\s+", " ", str(error)).strip() or type(error).__name__
    if missing := re.search(r"[Mm]issing mandatory value: (\S+)", text):
        return UserError(f"{missing[1]}: no value. Set it: {missing[1]}=... on the command line.")
    if again := re.search(r"Multiple values for (\S+?)\.", text):
        text = f"{again[1]} is there already. Write {again[1]}=... without the plus sign."
    return UserError(f"{' '.join(overrides)}: {text}" if overrides else text)
