"""What `dvc exp run -S ...` passes, checked before DVC composes it.

DVC composes conf/ in its own process, by Hydra, and tells of a mistake in Hydra's words after a
traceback's worth of others. Hydra asks plugins like this one for more places to search just before
it composes; DVC finds it because .dvc/config names the folder as `hydra.plugins_path`.
"""

from __future__ import annotations

import sys
from pathlib import Path

from hydra.core.config_search_path import ConfigSearchPath
from hydra.plugins.search_path_plugin import SearchPathPlugin

PROJECT = Path(__file__).parents[3]


class CheckOverrides(SearchPathPlugin):
    """Adds no place to search. Ends DVC with exit code 2 and one message for a mistake."""

    checked = False  # the check composes too, and must not check itself

    def manipulate_search_path(self, search_path: ConfigSearchPath) -> None:
        if not CheckOverrides.checked:
            CheckOverrides.checked = True
            _check(_overrides(sys.argv[1:]))


def _overrides(arguments: list[str]) -> list[str]:
    """Those for params.yaml, read from DVC's command line by DVC's own parser."""
    from dvc.cli.parser import get_main_parser
    from dvc.utils.cli_parse import to_path_overrides

    known, _ = get_main_parser().parse_known_args(arguments)
    return to_path_overrides(getattr(known, "set_param", None) or []).get("params.yaml", [])


def _check(overrides: list[str]) -> None:
    sys.path.insert(0, str(PROJECT))
    try:
        from graftwork.experiment import Experiment
        from pipelines.composed_anew import dropped, told
        from pipelines.overrides import check_all
        from pipelines.stage import reported
    finally:
        sys.path.remove(str(PROJECT))
    with reported():
        # `--queue` takes lists as sweeps; without it DVC has refused them by now.
        check_all(overrides, Experiment.from_params, sweep=True)
    single = not any("," in override for override in overrides)
    if single and (lost := dropped(Path("params.yaml"), overrides)):
        print(told(lost), file=sys.stderr)
