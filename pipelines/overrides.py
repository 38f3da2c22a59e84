"""Checks a Hydra command line before Hydra acts on it: one message, the nearest legal name first.

Hydra's own messages are long, end with exit code 1, and come only once a sweep's folder is made.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml
from hydra import compose, initialize_config_dir
from hydra._internal.utils import get_args_parser
from hydra.core.config_loader import ConfigLoader
from hydra.core.global_hydra import GlobalHydra
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from hydra.errors import HydraException
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from graftwork.errors import UserError, unknown
from pipelines.override_names import (
    assigned,
    check_key,
    check_options,
    check_secret,
    choices_of,
    is_group,
)

CONF = Path(__file__).parents[1] / "conf"
Check = Callable[[Mapping[str, Any]], object]
_MISTAKES = (HydraException, OmegaConfBaseException, yaml.YAMLError)


@dataclass(frozen=True)
class Request:
    """A command line that is right."""

    overrides: list[str]
    sweep: bool
    sweep_folder: Path | None = None  # absolute; None: not a sweep
    swept: dict[str, list[str]] = field(default_factory=dict)  # what the jobs differ in


def requested(arguments: Sequence[str], check: Check, conf: Path = CONF) -> Request | None:
    """Reads and checks the arguments of a Hydra application.

    Args:
        arguments: without the program's name.
        check: takes composed parameters and raises UserError for what is wrong in them.
        conf: the configuration folder.

    Returns:
        None where nothing is to be run: help, `--cfg`, `--info`, shell completion.

    Raises:
        UserError: for anything wrong, in any of a sweep's choices.
    """
    options, strays = get_args_parser().parse_known_args(list(arguments))
    if strays:
        flags = [flag for action in get_args_parser()._actions for flag in action.option_strings]
        raise unknown("option", strays[0], flags)
    if options.experimental_rerun:
        raise UserError("--experimental-rerun unpickles a file, which may run anything. Copy the "
                        "overrides from .hydra/overrides.yaml instead.")  # fmt: skip
    if options.help or options.hydra_help or options.info or options.shell_completion:
        return None
    search = [f"hydra.searchpath=[file://{_folder(options.config_dir)}]"] * bool(options.config_dir)
    name = options.config_name or "config"
    folder = _folder(options.config_path) if options.config_path else conf
    with initialize_config_dir(str(folder), version_base=None):
        request = _checked([*search, *options.overrides], name, check, sweep=options.multirun)
    return None if options.cfg else request


def check_all(overrides: Sequence[str], check: Check, conf: Path = CONF) -> None:
    """Checks the overrides of one composition, as `make params` takes them."""
    with initialize_config_dir(str(conf), version_base=None):
        _checked(list(overrides), "config", check, sweep=False)


def _folder(path: str) -> Path:
    if not Path(path).is_dir():
        raise UserError(f"{path}: no such folder.")
    return Path(path).absolute()


def _checked(overrides: list[str], name: str, check: Check, *, sweep: bool) -> Request:
    loader = GlobalHydra.instance().config_loader()
    parsed = _parsed(overrides, loader)
    for override in parsed:
        check_secret(override)
        check_options(override, loader)
    swept = {o.get_key_element(): choices_of(o) for o in parsed if o.is_sweep_override()}
    first = [assigned(o, swept[key][0]) if (key := o.get_key_element()) in swept
             else str(o.input_line) for o in parsed]  # fmt: skip
    groups = [line for o, line in zip(parsed, first, strict=True) if is_group(o, loader)]
    base = _composed(name, groups)
    for override in parsed:
        if not is_group(override, loader):
            check_key(override, base, loader)
    mode = str(OmegaConf.select(_composed(name, first), "hydra.mode"))
    sweep = sweep or mode.endswith("MULTIRUN")
    if swept and not sweep:
        key, choices = next(iter(swept.items()))
        raise UserError(
            f"{key}={','.join(choices)} names several values. Add -m to run one experiment for "
            f"each, or write a list as {key}=[...]."
        )
    for combination in _combinations(parsed, first, swept):
        _check_composition(name, combination, check, swept)
    return Request(overrides, sweep, _sweep_folder(name, first) if sweep else None, swept)


def _parsed(overrides: list[str], loader: ConfigLoader) -> list[Override]:
    parser, parsed = OverridesParser.create(config_loader=loader), []
    for text in overrides:
        try:
            parsed += parser.parse_overrides([text])
        except HydraException as error:
            raise UserError(
                f"'{text}' is not an override ({_first_line(error)}). Write key=value, +key=value "
                "to add, ~key to take away; quote values with blanks or braces."
            ) from error
    return parsed


def _first_line(error: Exception) -> str:
    lines = (line.strip() for line in str(error).splitlines())
    return next((line for line in lines if line), type(error).__name__).rstrip(".")


def _composed(name: str, overrides: list[str]) -> DictConfig:
    try:
        return compose(name, overrides, return_hydra_config=True)
    except _MISTAKES as error:
        raise UserError(_mistake(error, overrides)) from error


def _mistake(error: Exception, overrides: list[str]) -> str:
    """Hydra's own words, on one line, without its advice on Hydra itself."""
    text = re.sub(r"\s+", " ", str(error).partition("\nSet the environment")[0]).strip()
    return f"{' '.join(overrides)}: {text}" if overrides else text


def _combinations(
    parsed: list[Override], first: list[str], swept: Mapping[str, list[str]]
) -> Iterator[list[str]]:
    """The first choice of every swept key, then each other choice among first ones."""
    yield first
    for position, override in enumerate(parsed):
        for choice in swept.get(override.get_key_element(), [])[1:]:
            yield [*first[:position], assigned(override, choice), *first[position + 1 :]]


def _check_composition(
    name: str, overrides: list[str], check: Check, swept: Mapping[str, list[str]]
) -> None:
    try:
        config = compose(name, overrides)
        params: Any = OmegaConf.to_container(config, resolve=True)
    except _MISTAKES as error:
        raise UserError(_mistake(error, overrides)) from error
    try:
        check(params)
    except UserError as error:
        # In a sweep it matters which of the choices is wrong.
        place = f" (In: {' '.join(overrides)})" if swept else ""
        raise UserError(f"{error}{place}") from error


def _sweep_folder(name: str, overrides: list[str]) -> Path:
    config = _composed(name, overrides)
    return Path(str(OmegaConf.select(config, "hydra.sweep.dir"))).absolute()
