"""What no configuration holds, whoever wrote it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from graftwork.config.errors import UserError

MOST = 20_000  # values: the default configuration has 300
ENVIRONMENT = re.compile(r"\$\{\s*oc\.(env|decode)\b")


def check_size(values: Mapping[str, Any]) -> None:
    """Refuses what grows when it is read: YAML may refer to a list twice, and that to another."""
    left: list[Any] = [values]
    for _ in range(MOST):
        if not left:
            return
        value = left.pop()
        if isinstance(value, Mapping | list):
            left += value.values() if isinstance(value, Mapping) else value
    raise UserError(f"more than {MOST} values are no configuration. Compose it anew.")


def check_no_environment(values: Any, key: str = "") -> None:
    """Raises UserError where a value would come from the environment.

    It would be written, as it is then, into params.yaml, logs, the report and the tracking store.
    """
    if isinstance(values, dict):
        for name, value in values.items():
            check_no_environment(value, f"{key}.{name}" if key else str(name))
    elif isinstance(values, list):
        for value in values:
            check_no_environment(value, key)
    elif isinstance(values, str) and ENVIRONMENT.search(values):
        raise UserError(
            f"{key}: {values} would be written into params.yaml and the tracking store, whatever "
            "it holds. Write the value itself; a tracking server's user and password are read "
            "from MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD, unwritten."
        )
