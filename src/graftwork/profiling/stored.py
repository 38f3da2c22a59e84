"""The profile of the network in use, kept by content: the first experiment pays, others read.

Evaluating a linear probe needs neither torch nor timm, whose import alone would take longer than
everything else there; nor does reading a stored profile.
"""

from __future__ import annotations

import json
from typing import Any

from filelock import FileLock

from graftwork.artifacts import Artifacts
from graftwork.engines import keys
from graftwork.models.base import Model
from graftwork.sources.fetching import write_json


def static_costs(model: Model, num_classes: int, artifacts: Artifacts) -> dict[str, Any]:
    """What `graftwork.profiling.profile` says of the model with a head of so many classes.

    Returns:
        the fields of `Profile` by name; layers and groups as mappings.
    """
    key = keys.profile_key(model, num_classes)
    path = artifacts.profiles / f"{key}.json"
    if not path.is_file():
        artifacts.profiles.mkdir(parents=True, exist_ok=True)
        with FileLock(path.with_suffix(".lock")):
            if not path.is_file():
                from graftwork.profiling.profile import static_profile

                write_json(path, static_profile(model, num_classes).as_dict())
    found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return found | {"model": model.name}  # one network may go by several words
