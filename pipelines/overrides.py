"""Checks a Hydra command line before Hydra acts on it: one message, the nearest legal name first.

Hydra's own messages are long, end with exit code 1, and come only once a sweep's folder is made.
"""

from __future__ import annotations

import copy
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hydra import initialize_config_dir
from hydra._internal.config_loader_impl import ConfigLoaderImpl
from hydra._internal.utils import get_args_parser
from hydra.core.global_hydra import GlobalHydra
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from hydra.errors import HydraException
from omegaconf import DictConfig, OmegaConf, open_dict

from graftwork.config.errors import UserError, unknown
from graftwork.config.plain_values import check_no_environment
from graftwork.recording.tracked_params import public
from pipelines import launchers, sweepers
from pipelines.composing import MISTAKES, composed, culprits, mistake
from pipelines.optuna_sweeper import TARGET, OptunaSweeper
from pipelines.override_names import Groups, check_key, check_options, check_secret, choices_of
from pipelines.search_space import Space

CONF = Path(__file__).parents[1] / "conf"
Check = Callable[[Mapping[str, Any]], object]
HYDRAS = re.compile(r"[+~]*hydra[./]")  # an override of Hydra's own settings
MANY = 12  # choices of one key that are all checked


@dataclass(frozen=True)
class Request:
    """A command line that is right."""

    overrides: list[str]
    sweep_folder: Path | None = None  # absolute; None: not a sweep
    swept: dict[str, list[str]] = field(default_factory=dict)  # what the jobs differ in
    is_grid: bool = False  # whether every combination of it is a job
    launcher: Any = None  # `hydra.launcher`: in which processes they run


def requested(arguments: Sequence[str], check: Check, conf: Path = CONF) -> Request | None:
    """Reads and checks the arguments of a Hydra application.

    Args:
        arguments: without the program's name.
        check: takes composed parameters and raises UserError for what is wrong in them.
        conf: the configuration folder.

    Returns:
        None where nothing is to be run: help, `--cfg`, `--info`, shell completion.

    Raises:
        UserError: for anything wrong. Of a sweep every choice is checked once, the other keys at
            their first choice; what only certain combinations do wrong, the job itself finds.
    """
    parser = get_args_parser()
    options, strays = parser.parse_known_args(list(arguments))
    if strays:
        flags = [flag for action in parser._actions for flag in action.option_strings]
        raise unknown("option", strays[0], flags)
    if options.experimental_rerun:
        raise UserError(
            "--experimental-rerun unpickles a file, which may run anything. Repeat the overrides "
            "in .hydra/overrides.yaml instead."
        )
    if options.help or options.hydra_help or options.info or options.shell_completion:
        return None
    folder = _folder(options.config_path) if options.config_path else conf
    name = options.config_name or "config"
    search = []
    if options.config_dir:
        search = [f"hydra.searchpath=[{quoted(f'file://{_folder(options.config_dir)}')}]"]
    with initialize_config_dir(str(folder), version_base=None):
        request = _checked(name, search, options.overrides, check, sweep=options.multirun)
    return None if options.cfg else request


def check_all(
    overrides: Sequence[str], check: Check, conf: Path = CONF, *, sweep: bool = False
) -> None:
    """Checks the overrides of one composition, as `make params` takes them, or of a sweep."""
    with initialize_config_dir(str(conf), version_base=None):
        _checked("config", [], overrides, check, sweep=sweep)


def quoted(text: str) -> str:
    """A string as Hydra's grammar quotes it: backslashes count before a quote only."""
    return "'" + re.sub(r"(\\*)('|$)", lambda m: m[1] * 2 + m[2].replace("'", "\\'"), text) + "'"


def _folder(path: str) -> Path:
    if not Path(path).is_dir():
        raise UserError(f"{path}: no such folder.")
    return Path(path).absolute()


def _checked(
    name: str, search: list[str], overrides: Sequence[str], check: Check, *, sweep: bool
) -> Request:
    groups = Groups(GlobalHydra.instance().config_loader(), name, search)
    parsed = [_parsed(text, groups) for text in overrides]
    for override in parsed:
        check_secret(override)
        check_options(override, groups)
    swept = {o.get_key_element(): choices_of(o) for o in parsed if o.is_sweep_override()}
    _check_once(parsed, swept)
    first = [_at(o, swept[o.get_key_element()][0]) if o.is_sweep_override() else str(o.input_line)
             for o in parsed]  # fmt: skip
    _check_keys(parsed, first, name, groups)
    whole = composed(name, [*search, *first])
    grid = sweepers.does_all(OmegaConf.select(whole, "hydra.sweeper"))
    sweep = sweep or str(OmegaConf.select(whole, "hydra.mode")).endswith("MULTIRUN")
    launcher = OmegaConf.select(whole, "hydra.launcher")
    place = Path(str(OmegaConf.select(whole, "hydra.sweep.dir"))).absolute() if sweep else None
    if not sweep:
        _check_single(swept)
    else:
        launchers.check(launcher)
        node = OmegaConf.select(whole, "hydra.sweeper")
        check = _for_sweeper(check, node, swept)
        if space := _space(node, swept):
            fixed = [str(o.input_line) for o in parsed if not o.is_sweep_override()]
            for own in space.examples():
                lines = [*(line for line in fixed if not HYDRAS.match(line)), *own]
                _checked(name, search, lines, check, sweep=False)
            swept = {each.key: each.words for each in space.dimensions}
            return Request(list(overrides), place, swept, False, launcher)
    with open_dict(whole):
        del whole["hydra"]
    _check_composition(whole, first, name, check, several=bool(swept))
    for at, line, lines in _other_choices(parsed, first, swept):
        if _stands_alone(parsed[at], parsed, groups):
            config = _changed(whole, _parsed(line, groups))
        else:
            config = composed(name, [*search, *lines], whole=False)
        _check_composition(config, lines, name, check, several=True)
    return Request(list(overrides), place, swept, sweep and grid, launcher)


def _space(node: DictConfig, swept: Mapping[str, list[str]]) -> Space | None:
    """What is searched, with a sweeper that can do it; None: the sweeper is another one."""
    if OmegaConf.select(node, "_target_") != TARGET:
        return None
    settings: Any = OmegaConf.to_container(node, resolve=True)
    del settings["_target_"]
    return Space.of(OptunaSweeper(**settings).space, swept)


def _parsed(text: str, groups: Groups) -> Override:
    try:
        return OverridesParser.create(config_loader=groups.loader).parse_overrides([text])[0]
    except HydraException as error:
        reason = str(error).strip().partition("\n")[0].partition(" expecting ")[0]
        said = public(f"'{text}' is not an override ({reason})")
        raise UserError(
            f"{said}. Write key=value, +key=value to add, ~key to take away; quote values with "
            "blanks, commas or braces."
        ) from error


def _check_keys(parsed: list[Override], lines: list[str], name: str, groups: Groups) -> None:
    pairs = list(zip(parsed, lines, strict=True))
    choices = [line for override, line in pairs if groups.chosen_by(override)]
    base = composed(name, [*groups.search, *choices])
    for override in parsed:
        if not groups.chosen_by(override):
            check_key(override, base, groups)


def _check_once(parsed: Sequence[Override], swept: Mapping[str, object]) -> None:
    """What is swept stands once: a sweep's table would name jobs by both."""
    for key in swept:
        if len(said := [str(o.input_line) for o in parsed if o.get_key_element() == key]) > 1:
            raise UserError(f"{key}: said {len(said)} times: {' '.join(said)}. Say it once.")


def _check_single(swept: Mapping[str, Sequence[str]]) -> None:
    for key, choices in swept.items():
        raise UserError(
            f"{key}={','.join(choices)} names several values. Add -m to run one experiment for "
            f"each, or write a list as {key}=[...]."
        )


def _for_sweeper(check: Check, node: DictConfig, swept: Mapping[str, object]) -> Check:
    """The same check, and whether jobs give the sweeper what it looks for."""
    if (key := "selection.direction") in swept:
        raise UserError(f"{key}: one sweep looks in one direction. Give one of the values alone.")
    sweeper = sweepers.facts(node)

    def both(params: Mapping[str, Any]) -> None:
        check(params)
        sweepers.check(sweeper, params)

    return both


def _other_choices(
    parsed: list[Override], first: list[str], swept: Mapping[str, list[str]]
) -> Iterator[tuple[int, str, list[str]]]:
    """Each choice of a swept key but the first, where it stands, among first choices."""
    for place, override in enumerate(parsed):
        choices = swept.get(override.get_key_element(), [])
        # Of long lists, such as a range of seeds, the beginning and the end.
        for choice in [*choices[1:MANY], *choices[MANY:][-1:]]:
            line = _at(override, choice)
            yield place, line, [*first[:place], line, *first[place + 1 :]]


def _stands_alone(override: Override, parsed: list[Override], groups: Groups) -> bool:
    """Whether this override only sets a value that no other one touches."""
    if groups.chosen_by(override) or override.package is not None:
        return False
    path = f"{override.key_or_group}."
    # Values are set after all files have been chosen.
    values = (o for o in parsed if o is not override and not groups.chosen_by(o))
    others = (f"{other.key_or_group}." for other in values)
    return not any(path.startswith(other) or other.startswith(path) for other in others)


def _changed(whole: DictConfig, override: Override) -> DictConfig:
    """The composition with another value: what composing anew would give, in a fraction of it."""
    config = copy.deepcopy(whole)
    try:
        ConfigLoaderImpl._apply_overrides_to_config([override], config)
    except MISTAKES as error:
        raise mistake(error, [str(override.input_line)]) from error
    return config


def _at(override: Override, choice: str) -> str:
    return f"{override.get_key_element()}={choice}"


def _check_composition(
    config: DictConfig, overrides: list[str], name: str, check: Check, *, several: bool
) -> None:
    check_no_environment(OmegaConf.to_container(config, resolve=False))
    try:
        params: Any = OmegaConf.to_container(config, resolve=True)
    except MISTAKES as error:
        raise mistake(error, culprits(name, overrides)) from error
    try:
        check(params)
    except UserError as error:
        # In a sweep it matters which of the choices is wrong.
        raise UserError(f"{error} (In: {' '.join(overrides)})" if several else str(error)) from None
