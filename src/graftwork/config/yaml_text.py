"""Reading YAML: a sweep reads the parameters of each of its jobs several times."""

from __future__ import annotations

from typing import Any

import yaml

# libyaml takes a fifth of the time; a build of PyYAML without it reads the same.
LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def from_yaml(text: str) -> Any:
    """Plain values, as `yaml.safe_load` gives them.

    Raises:
        yaml.YAMLError: it is no YAML.
    """
    return yaml.load(text, LOADER)
