"""A sweep by name: started again, it goes on where it stopped.

    python -m pipelines.experiment sweep=produce model=mobilenetv2,resnet50 transfer=lp_ft

Its folder is runs/NAME, and a job's folder in it follows from the job's overrides, so that the same
job is found again whatever was added before it. What is finished with the same parameters is not
run again; what was cut, failed or is new is.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from itertools import product
from pathlib import Path

import yaml
from omegaconf import OmegaConf

from graftwork.config.errors import UserError
from graftwork.config.yaml_text import from_yaml
from graftwork.storage.artifacts import Artifacts

KEY = "sweep="
NAME = re.compile(r"[A-Za-z0-9][\w.\-]{0,80}", re.ASCII)
RESOLVER = "graftwork_job"  # of OmegaConf: a job's folder from its overrides
SUBDIR = f"hydra.sweep.subdir='${{{RESOLVER}:${{hydra:job.override_dirname}}}}'"
LEGIBLE = 60  # characters of the overrides in a folder's name


def arguments_of(arguments: Sequence[str]) -> list[str]:
    """The command line with Hydra's own words in the place of `sweep=NAME`.

    Raises:
        UserError: the name is none, or two are given.
    """
    names = [word.removeprefix(KEY) for word in arguments if word.startswith(KEY)]
    if not names:
        return list(arguments)
    if len(names) > 1:
        raise UserError(f"sweep: {len(names)} names: {', '.join(names)}. Give one.")
    if not NAME.fullmatch(names[0]):
        raise UserError(
            f"sweep: '{names[0]}' is no name of a folder. Legal: letters, digits, '_', '-' and "
            "'.', such as sweep=produce_2."
        )
    own = [word for word in arguments if not word.startswith(KEY)]
    flags = [] if {"-m", "--multirun"} & set(own) else ["-m"]
    return [*flags, *own, f"hydra.sweep.dir=runs/{names[0]}", SUBDIR]


def job_folder(overrides: str) -> str:
    """The name of a job's folder: legible, and another one for other overrides."""
    digest = hashlib.sha256(overrides.encode()).hexdigest()[:10]
    words = re.sub(r"[^\w.=\-]+", "_", overrides, flags=re.ASCII).strip("._")[:LEGIBLE]
    return f"{words}-{digest}" if words else digest


def register() -> None:
    """Makes the folder's name known to OmegaConf, in every process that runs jobs."""
    OmegaConf.register_new_resolver(RESOLVER, job_folder, replace=True)


def finished_earlier(artifacts: Artifacts, params: str) -> bool:
    """Whether this folder's job was finished with these parameters, and its results are there.

    Args:
        params: of the job that is to be run, as YAML.
    """
    told = artifacts.root / "job.json"
    if not (told.is_file() and artifacts.params.is_file() and artifacts.metrics.is_file()):
        return False
    try:
        status = json.loads(told.read_text(encoding="utf-8"))["status"]
        json.loads(artifacts.metrics.read_text(encoding="utf-8"))
        earlier = from_yaml(artifacts.params.read_text(encoding="utf-8"))
    except (ValueError, KeyError, TypeError, yaml.YAMLError):
        return False  # cut off while it was written
    return bool(status == "finished" and earlier == from_yaml(params))


def swept_with_earlier(folder: Path, swept: Mapping[str, Sequence[str]]) -> dict[str, list[str]]:
    """What the jobs of this start and of earlier ones differ in."""
    path, found = folder / "sweep.json", {key: list(values) for key, values in swept.items()}
    try:
        earlier = json.loads(path.read_text(encoding="utf-8"))["swept"]
    except (OSError, ValueError, KeyError):
        return found
    for key, values in earlier.items():
        found[key] = list(dict.fromkeys([*values, *found.get(key, [])]))
    return found


def planned(overrides: Sequence[str], swept: Mapping[str, Sequence[str]]) -> list[list[str]]:
    """The overrides of every job of a grid; none where nothing is swept, and the one job begins at
    once.

    Args:
        overrides: of the command line, swept ones included.
    """
    hydras_own = re.compile(r"[+~]*hydra[./]")  # which jobs are not told
    said = (line for line in overrides if not hydras_own.match(line))
    shared = [line for line in said if line.partition("=")[0] not in swept]
    pairs = [[f"{key}={value}" for value in values] for key, values in swept.items()]
    return [[*shared, *job] for job in product(*pairs)] if swept else []
